/** The README is true: it fits, its program runs and prints what it says, its commands and files are there. */
import { describe, expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'

const ROOT = join(import.meta.dir, '..')
const readme = await Bun.file(join(ROOT, 'README.md')).text()
const lines = readme.split('\n')

/** Each `ts` block with the `text` block that follows it. */
const snippets = [...readme.matchAll(/```ts\n([\s\S]*?)```\n\n```text\n([\s\S]*?)```/g)].map(
  ([, program = '', prints = '']) => ({ program, prints }),
)

describe('README', () => {
  test('has at most 150 lines, and a topology of at most 20 by line 40', () => {
    expect(lines.length).toBeLessThanOrEqual(151)
    const first = lines.findIndex((line) => line.startsWith('const builder'))
    const last = lines.findIndex((line, index) => index > first && line.trim().startsWith('.to('))
    expect(first).toBeGreaterThan(0)
    expect(last - first + 1).toBeLessThanOrEqual(20)
    expect(last + 1).toBeLessThanOrEqual(40)
  })

  test('every program in it has its output beside it', () => {
    expect(snippets.length).toBeGreaterThan(0)
    expect(readme.match(/```ts/g)?.length).toBe(snippets.length)
  })

  test.each(snippets)('a program prints what it says', async ({ program, prints }) => {
    // Below the root, so that the package finds itself by name.
    const folder = await mkdtemp(join(ROOT, 'node_modules/.readme-'))
    try {
      const file = join(folder, 'snippet.ts')
      await Bun.write(file, program)
      const child = Bun.spawn([process.execPath, file], {
        stdout: 'pipe',
        stderr: 'pipe',
        cwd: ROOT,
      })
      const [output, errors] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
      ])
      expect(errors).toBe('')
      expect(output).toBe(prints)
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  test('every script it names is there', async () => {
    const { scripts } = (await Bun.file(join(ROOT, 'package.json')).json()) as {
      scripts: Record<string, string>
    }
    const named = [...readme.matchAll(/bun run (\w[\w:]*)/g)].map(([, name = '']) => name)
    expect(named.length).toBeGreaterThan(5)
    expect(named.filter((name) => scripts[name] === undefined)).toEqual([])
  })

  test('every file it names is there', () => {
    const named = [...readme.matchAll(/(?:src|state|topology|docs|bench)\/[\w/.-]+\.(?:ts|md)/g)]
    expect(named.length).toBeGreaterThan(10)
    expect(named.map(([path]) => path).filter((path) => !existsSync(join(ROOT, path)))).toEqual([])
  })
})
