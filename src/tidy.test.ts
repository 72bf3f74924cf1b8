/**
 * The house rules, as a test: who may import whom and what, which globals are banned, and how long a file may be.
 *
 * Invariant: no exception by file name, but for the tables below.
 */
import { describe, expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'

const ROOT = join(import.meta.dir, '..')

/** Lower ranks know nothing of higher ones. The longest matching prefix counts. */
const RANKS: readonly (readonly [prefix: string, rank: number])[] = [
  ['src/system/', -1],
  ['state/', 0],
  ['src/log/', 0],
  ['topology/', 1],
  ['src/runtime/', 2],
  ['src/observability/', 3],
  ['src/testing/', 3],
  ['src/migration/', 3],
  ['src/http/', 4],
  ['src/index.ts', 5],
  ['src/cli/', 5],
  ['src/campus/', 6],
  ['examples/', 6],
  ['bench/', 8],
  ['scripts/', 7],
]

/** A door that a folder may open for its types only. */
const TYPES_ONLY: readonly (readonly [folder: string, door: string])[] = [
  ['topology/', '#state'],
  ['topology/', '#log'],
]

/** Scenarios drive real brokers with what tests have for it, and are as little a part of campus as those. */
const EQUIPMENT = { folder: 'src/campus/scenarios/', door: '#kafka-for-tests' }

/** Every npm package and system module, with the files that may import it; a trailing slash is a folder. */
const OUTSIDE: Readonly<Record<string, readonly string[]>> = {
  '@platformatic/kafka': ['src/log/kafka/'],
  '@standard-schema/spec': ['topology/', 'src/testing/'],
  'bun:ffi': [],
  'bun:jsc': ['bench/', 'src/testing/simulation/scheduler.ts'],
  'bun:sqlite': [
    'src/log/sqlite/',
    'src/log/sqlite-log.ts',
    'state/sqlite-store.ts',
    'src/campus/',
    'src/runtime/instance-folder.ts',
  ],
  'classic-level': ['state/level-store.ts'],
  commander: ['src/cli/'],
  hono: ['src/http/', 'src/campus/'],
  'hono-openapi': ['src/http/', 'src/campus/'],
  mitata: ['bench/'],
  'node:buffer': ['src/', 'state/', 'topology/', 'bench/', 'scripts/'],
  'node:fs': [
    'src/system/',
    'src/log/sqlite/',
    'src/log/sqlite-log.ts',
    'state/sqlite-store.ts',
    'state/level-store.ts',
    'src/runtime/instance-folder.ts',
    'src/cli/',
    'src/campus/',
    'bench/',
    'scripts/',
  ],
  'node:fs/promises': [
    'src/log/sqlite/',
    'state/sqlite-store.ts',
    'state/level-store.ts',
    'src/runtime/instance-folder.ts',
    'src/cli/',
    'src/campus/',
    'bench/',
    'scripts/',
  ],
  'node:os': ['src/system/', 'src/campus/', 'bench/', 'scripts/'],
  'node:path': [
    'src/log/sqlite/',
    'src/log/sqlite-log.ts',
    'state/sqlite-store.ts',
    'state/level-store.ts',
    'src/runtime/instance-folder.ts',
    'src/cli/',
    'src/campus/',
    'bench/',
    'scripts/',
  ],
  'node:util': ['src/campus/flags.ts', 'src/campus/scenarios/'],
  'node:zlib': ['src/log/compression.ts', 'scripts/'],
  valibot: ['src/campus/', 'src/http/', 'src/cli/', 'examples/', 'bench/'],
}

/** Where a clock, chance or the console may be touched directly. */
const SYSTEM_ALLOWED = [
  'src/system/',
  'src/cli/',
  'src/campus/main.ts',
  'src/campus/scenarios/',
  'bench/',
  'scripts/',
  'examples/',
]
const BANNED: readonly (readonly [pattern: RegExp, instead: string])[] = [
  [/\bDate\.now\b/, 'clock.nowMs()'],
  [/\bnew Date\(\)/, 'clock.nowMs()'],
  [/\bperformance\.now\b/, 'clock.elapsedMs()'],
  [/\bset(Timeout|Interval|Immediate)\b/, 'clock.after() or clock.turn()'],
  [/\bMath\.random\b/, 'random.next()'],
  [/\bcrypto\.(random|getRandom)\w*/, 'random'],
  [/\brandomUUID\w*/, 'random.uuid()'],
  [/\bconsole\.\w+/, 'an observer'],
]
const LIBRARY = [
  'src/system/',
  'state/',
  'src/log/',
  'topology/',
  'src/runtime/',
  'src/observability/',
  'src/testing/',
  'src/migration/',
  'src/http/',
]
const LINES_MAX = 400
const COLUMNS_MAX = 100
const PROSE_COLUMNS_MAX = 130

interface Import {
  readonly from: string
  readonly typesOnly: boolean
}
interface Source {
  readonly path: string
  readonly text: string
  /** Without comments and the contents of strings. */
  readonly code: string
  readonly imports: readonly Import[]
}

const DOORS: Readonly<Record<string, string>> = (await Bun.file(join(ROOT, 'package.json')).json())
  .imports

/** Comments and templates blanked; quoted strings too unless `keepStrings`. Line numbers stay. */
function strip(text: string, keepStrings: boolean): string {
  const token =
    /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\[\s\S]|[^`\\])*`/g
  return text.replace(token, (found) => {
    if (found.startsWith('/')) return found.replace(/[^\n]/g, ' ')
    return keepStrings && !found.startsWith('`') ? found : found.replace(/[^\n]/g, ' ')
  })
}

function importsOf(text: string): readonly Import[] {
  const code = strip(text, true)
  const found: Import[] = []
  for (const match of code.matchAll(/^\s*(?:import|export)\s+(type\s)?[^'";]*?from\s+'([^']+)'/gm))
    found.push({ from: match[2] ?? '', typesOnly: match[1] !== undefined })
  for (const match of code.matchAll(/^\s*import\s+'([^']+)'/gm))
    found.push({ from: match[1] ?? '', typesOnly: false })
  for (const match of code.matchAll(/\bimport\(\s*'([^']+)'\s*\)/g))
    found.push({ from: match[1] ?? '', typesOnly: false })
  return found
}

const listed = Bun.spawnSync(['git', 'ls-files', '-co', '--exclude-standard', '*.ts'], {
  cwd: ROOT,
})
// A file that is deleted but not yet committed is still listed.
const paths = listed.stdout
  .toString()
  .trim()
  .split('\n')
  .filter((path) => existsSync(join(ROOT, path)))
const sources: readonly Source[] = await Promise.all(
  paths.map(async (path) => {
    const text = await Bun.file(join(ROOT, path)).text()
    return { path, text, code: strip(text, false), imports: importsOf(text) }
  }),
)

const isTest = (path: string): boolean =>
  /\.(test|contract)\.ts$|\.contract\/|\/test-helpers?\//.test(path)
const within = (path: string, places: readonly string[]): boolean =>
  places.some((place) => (place.endsWith('/') ? path.startsWith(place) : path === place))

const isEquipment = (path: string, from: string): boolean =>
  (isTest(path) || path.startsWith(EQUIPMENT.folder)) && from.startsWith(EQUIPMENT.door)

function folderOf(path: string): string {
  const match = RANKS.filter(([prefix]) => path.startsWith(prefix)).sort(
    (a, b) => b[0].length - a[0].length,
  )[0]
  return match?.[0] ?? ''
}
function rankOf(path: string): number {
  return RANKS.find(([prefix]) => prefix === folderOf(path))?.[1] ?? Number.POSITIVE_INFINITY
}
/** The file an import leads to, or undefined for a package. */
function target(path: string, from: string): string | undefined {
  if (from.startsWith('.')) return normalize(join(dirname(path), from))
  const door = DOORS[from]
  return door === undefined ? undefined : normalize(door)
}

/** Lines `path: what` for everything that breaks a rule; an empty list passes. */
function breaches(
  check: (source: Source) => readonly string[],
  chosen = sources,
): readonly string[] {
  return chosen.flatMap((source) => check(source).map((what) => `${source.path}: ${what}`))
}

describe('imports', () => {
  test('the scanner sees every form of import', () => {
    const text = `import a from 'one'\nimport type { b } from 'two'\nexport * from './three.ts'
import {
  c,
} from '#four'
import 'five'
const six = await import('six') // import 'seven'`
    expect(importsOf(text).map(({ from, typesOnly }) => [from, typesOnly])).toEqual([
      ['one', false],
      ['two', true],
      ['./three.ts', false],
      ['#four', false],
      ['five', false],
      ['six', false],
    ])
  })

  test('go only to a lower rank, through the other folder’s door', () => {
    const wrong = breaches(({ path, imports }) =>
      imports.flatMap(({ from, typesOnly }) => {
        const to = target(path, from)
        if (from.startsWith('#') && to === undefined) return [`${from} is no door`]
        if (to === undefined) return []
        if (from.startsWith('.'))
          return folderOf(to) === folderOf(path) ? [] : [`${from} leaves its folder: use a door`]
        if (folderOf(to) === folderOf(path)) return [`${from} is its own door: import the file`]
        if (isTest(path) || isEquipment(path, from)) return []
        if (rankOf(to) >= rankOf(path)) return [`${from} is not of a lower rank`]
        const limited = TYPES_ONLY.some(
          ([folder, door]) => path.startsWith(folder) && from === door,
        )
        return limited && !typesOnly ? [`${from} may be imported for types only`] : []
      }),
    )
    expect(wrong).toEqual([])
  })

  test('campus and examples import only what the package exports', () => {
    const wrong = breaches(({ path, imports }) => {
      if (!within(path, ['src/campus/', 'examples/'])) return []
      return imports
        .filter(({ from }) => from.startsWith('#') && !from.startsWith('#millrace'))
        .filter(({ from }) => !isEquipment(path, from))
        .map(({ from }) => `${from}: use #millrace`)
    })
    expect(wrong).toEqual([])
  })

  test('invariants.ts stands alone', () => {
    const invariants = sources.filter(({ path }) => path.startsWith('src/campus/invariants'))
    expect(
      breaches(
        ({ path, imports }) =>
          isTest(path)
            ? []
            : imports
                .filter(({ from }) => !from.startsWith('./invariants'))
                .map(({ from }) => from),
        invariants,
      ),
    ).toEqual([])
  })

  test('packages and system modules are imported only where they are listed', () => {
    const wrong = breaches(({ path, imports }) =>
      imports.flatMap(({ from }) => {
        if (from.startsWith('.') || from.startsWith('#')) return []
        if (isTest(path) || within(path, ['bench/', 'scripts/'])) return []
        const places =
          OUTSIDE[from] ??
          OUTSIDE[
            from
              .split('/')
              .slice(0, from.startsWith('@') ? 2 : 1)
              .join('/')
          ]
        return places !== undefined && within(path, places) ? [] : [from]
      }),
    )
    expect(wrong).toEqual([])
  })

  test('make no circle of files', () => {
    const edges = new Map(
      sources.map(({ path, imports }) => [
        path,
        imports.map(({ from }) => target(path, from)).filter((to) => to !== undefined),
      ]),
    )
    expect(circles(edges)).toEqual([])
  })

  test('a circle would be found', () => {
    const edges = new Map([
      ['a', ['b']],
      ['b', ['c']],
      ['c', ['a']],
    ])
    expect(circles(edges)).toEqual(['a → b → c → a'])
  })
})

function circles(edges: ReadonlyMap<string, readonly string[]>): readonly string[] {
  const found: string[] = []
  const done = new Set<string>()
  const visit = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path)
    if (at >= 0) {
      found.push([...trail.slice(at), path].join(' → '))
      return
    }
    if (done.has(path)) return
    for (const next of edges.get(path) ?? []) visit(next, [...trail, path])
    done.add(path)
  }
  for (const path of edges.keys()) visit(path, [])
  return found
}

describe('code', () => {
  test('touches clock, chance and console only through what is handed in', () => {
    const wrong = breaches(({ path, code }) => {
      if (isTest(path) || within(path, SYSTEM_ALLOWED)) return []
      return BANNED.flatMap(([pattern, instead]) =>
        pattern.test(code) ? [`${pattern.source}: use ${instead}`] : [],
      )
    })
    expect(wrong).toEqual([])
  })

  test('has no `any`, no suppression and, in the library, no bare Error', () => {
    const wrong = breaches(({ path, code, text }) => {
      if (path === 'src/tidy.test.ts') return []
      const found: string[] = []
      if (/(?::|<|\bas|\|)\s*any\b/.test(code)) found.push('any')
      if (/@ts-ignore|@ts-nocheck/.test(text)) found.push('a suppression')
      if (/@ts-expect-error/.test(text) && !path.endsWith('.types.test.ts'))
        found.push('@ts-expect-error')
      if (!isTest(path) && within(path, LIBRARY) && /\bnew Error\(/.test(code))
        found.push('new Error(')
      return found
    })
    expect(wrong).toEqual([])
  })

  test('has nothing left for later, and no test that is switched off', () => {
    // Character classes, so that this line is not one of the markers it looks for.
    const marker = /\b(TOD[O]|FIXM[E]|XX[X]|HAC[K])\b/
    const wrong = breaches(({ path, text, code }) => {
      const found = marker.test(text) ? ['a marker for later'] : []
      if (isTest(path) && /\b(test|it|describe)\.(only|todo|skip)\b/.test(code))
        found.push('a test that does not run')
      return found
    })
    expect(wrong).toEqual([])
  })

  test(`fits: ${LINES_MAX} lines, ${COLUMNS_MAX} columns of code`, () => {
    const wrong = breaches(({ text, code }) => {
      const lines = text.split('\n')
      const found = lines.length - 1 > LINES_MAX ? [`${lines.length - 1} lines`] : []
      const codeLines = code.split('\n')
      for (const [index, line] of lines.entries()) {
        // A comment or a line with a text in it may be longer: the formatter does not break those.
        const isProse = (codeLines[index] ?? '').trim() === '' || /['"`]/.test(line)
        if (line.length > (isProse ? PROSE_COLUMNS_MAX : COLUMNS_MAX))
          found.push(`line ${index + 1} is ${line.length} wide`)
      }
      return found
    })
    expect(wrong).toEqual([])
  })

  test('every library file opens with what it is and what it keeps', () => {
    const wrong = breaches(({ path, text }) => {
      if (isTest(path) || !within(path, LIBRARY)) return []
      return /^\/\*\*[\s\S]*?\*\//.test(text) ? [] : ['no header']
    })
    expect(wrong).toEqual([])
  })
})
