/** The planted bugs stay plantable, stay out of the package, and stay findable. */
import { describe, expect, test } from 'bun:test'
import { cp, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { rewritten } from './planted-bug.ts'
import { PLANTED_BUGS } from './planted-bugs.ts'
import { searchFor } from './search-for.ts'

const ROOT = join(import.meta.dir, '../..')
/** After the seed that is known: a change of the simulator costs a search first, and a red test if that finds nothing. */
const SEEDS = 5_000

interface Variant {
  readonly bug: string
  readonly file: string
  readonly text: string
}

async function variants(): Promise<readonly Variant[]> {
  const all: Variant[] = []
  for (const { name, rewrites } of PLANTED_BUGS) {
    for (const [file, those] of Map.groupBy(rewrites, (rewrite) => rewrite.file)) {
      const source = await Bun.file(join(ROOT, file)).text()
      all.push({ bug: name, file, text: rewritten(source, name, those) })
    }
  }
  return all
}

describe('a planted bug', () => {
  test('has a name of its own, and there are the 22 of the protocol', () => {
    expect(new Set(PLANTED_BUGS.map(({ name }) => name)).size).toBe(22)
  })

  test('changes each of its places exactly once', async () => {
    expect((await variants()).length).toBeGreaterThanOrEqual(PLANTED_BUGS.length)
    const rewrite = { file: 'x.ts', find: 'a', replace: 'b' }
    expect(() => rewritten('a + a', 'twice', [rewrite])).toThrow('2 times')
    expect(() => rewritten('c', 'gone', [rewrite])).toThrow('0 times')
    expect(rewritten('a', 'once', [{ ...rewrite, replace: `$&` }])).toBe('$&')
  })

  test('is a program that the compiler accepts', async () => {
    const copy = await mkdtemp(join(tmpdir(), 'planted-'))
    try {
      for (const name of ['src', 'state', 'topology', 'package.json', 'tsconfig.json']) {
        await cp(join(ROOT, name), join(copy, name), { recursive: true })
      }
      await symlink(join(ROOT, 'node_modules'), join(copy, 'node_modules'))
      const files: string[] = []
      for (const { bug, file, text } of await variants()) {
        const path = file.replace('.ts', `.${bug}.ts`)
        await Bun.write(join(copy, path), text)
        files.push(path)
      }
      const compilerOptions = { noUnusedLocals: false, noUnusedParameters: false }
      const config = {
        extends: './tsconfig.json',
        compilerOptions,
        files,
        include: [],
        exclude: [],
      }
      await Bun.write(join(copy, 'planted.json'), JSON.stringify(config))
      const tsc = join(ROOT, 'node_modules/.bin/tsc')
      const { stdout } = Bun.spawnSync([tsc, '-p', 'planted.json'], { cwd: copy })
      expect(stdout.toString()).toBe('')
    } finally {
      await rm(copy, { recursive: true })
    }
  }, 120_000)

  test('is not in the package, nor is what plants it', () => {
    const packed = Bun.spawnSync([process.execPath, 'pm', 'pack', '--dry-run'], { cwd: ROOT })
    const files = packed.stdout
      .toString()
      .split('\n')
      .flatMap((line) => /^packed \S+ (.+)$/.exec(line)?.[1] ?? [])
    expect(files).toContain('src/runtime/committer.ts')
    expect(files.filter((file) => /planted|^scripts\//.test(file))).toEqual([])
  })

  test('is in no file of the library, not even by name', async () => {
    const found: string[] = []
    for (const folder of ['src', 'state', 'topology']) {
      for await (const file of new Bun.Glob('**/*.ts').scan(join(ROOT, folder))) {
        const text = await Bun.file(join(ROOT, folder, file)).text()
        if (/MILLRACE_PLANTED|scripts\/planted/.test(text)) found.push(file)
      }
    }
    expect(found).toEqual([])
  })
})

describe('the simulator finds', () => {
  for (const bug of PLANTED_BUGS) {
    const { name, rule, seed } = bug
    test(`${name} (${rule})`, async () => {
      const found = await searchFor(bug, { seeds: SEEDS, first: seed })
      expect(found.check).toBeString()
    }, 120_000)
  }
})
