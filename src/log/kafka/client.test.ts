import { expect, test } from 'bun:test'
import { join } from 'node:path'

import { client } from './client.ts'

test('what the driver uses is what the library exports', async () => {
  const library: Readonly<Record<string, unknown>> = await import('@platformatic/kafka')
  const names = Object.keys(client) as (keyof typeof client)[]
  expect(names).toContain('Connection')
  for (const name of names) {
    // Parts of it are not exported by the library, and not used here either.
    if (name in library) expect([name, client[name] === library[name]]).toEqual([name, true])
  }
})

/** Whether a program that imports this has loaded the library's schema registries. */
async function loadsRegistries(module: string): Promise<string> {
  const program = `
    await import(${JSON.stringify(module)})
    console.log(Object.keys(require.cache).filter((path) => path.includes('kafka/dist/registries')).length > 0)`
  const child = Bun.spawn([process.execPath, '-e', program], { cwd: import.meta.dir })
  return (await child.stdout.text()).trim()
}

test('the driver loads the library without its schema registries, which are most of its start', async () => {
  expect(await loadsRegistries(join(import.meta.dir, '../kafka-log.ts'))).toBe('false')
  expect(await loadsRegistries('@platformatic/kafka')).toBe('true')
})
