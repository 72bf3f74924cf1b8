import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { BENCHES } from './benches.ts'

test('every bench runs, and all its sides do the same work', async () => {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, 'main.ts'), '--smoke'], {
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [output, errors] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  expect(errors).toBe('')
  expect(await child.exited).toBe(0)
  const missing = Object.keys(BENCHES).filter((name) => !output.includes(`\n${name} `))
  expect(missing).toEqual([])
}, 180_000)
