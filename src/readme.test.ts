/** The README is true: it fits, its program is typed, runs and prints what it says, its commands and files are there. */
import { describe, expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'

const ROOT = join(import.meta.dir, '..')
const readme = await Bun.file(join(ROOT, 'README.md')).text()
const lines = readme.split('\n')

/** As a program is checked that is no library, and nothing beside it. */
const CHECKED = {
  extends: join(ROOT, 'tsconfig.json'),
  compilerOptions: { isolatedDeclarations: false, declaration: false },
  include: [],
  exclude: [],
}

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

  test.each(snippets)(
    'a program has the types it says, and prints what it says',
    async ({ program, prints }) => {
      // Below the root, so that the package finds itself by name.
      const folder = await mkdtemp(join(ROOT, 'node_modules/.readme-'))
      const run = async (...command: readonly string[]) => {
        const options = { stdout: 'pipe', stderr: 'pipe', cwd: ROOT } as const
        const child = Bun.spawn([process.execPath, ...command], options)
        const [output, errors] = await Promise.all([child.stdout.text(), child.stderr.text()])
        return { output, errors, code: await child.exited }
      }
      try {
        const file = join(folder, 'snippet.ts')
        const project = join(folder, 'tsconfig.json')
        await Bun.write(file, program)
        await Bun.write(project, JSON.stringify({ ...CHECKED, files: [file] }))
        const { output, code } = await run('check', '--no-script', '--project', project)
        expect(code === 0 ? '' : output).toBe('')
        expect(await run(file)).toEqual({ output: prints, errors: '', code: 0 })
      } finally {
        await rm(folder, { recursive: true })
      }
    },
    60_000,
  )

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
