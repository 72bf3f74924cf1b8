/** Every bench by its name, at the size that its figures are quoted for, or small. */
import { sideNames, sideOf } from './end-to-end.ts'
import type { Figure } from './figure.ts'
import { http } from './http.ts'
import { micro } from './micro.ts'
import { openBenchLog, type LogKind } from './logs.ts'
import { PROGRAMS, type ProgramName } from './programs.ts'
import { resident } from './resident.ts'
import { restore } from './restore.ts'
import { compare, type Ratio, type Rounds } from './rounds.ts'
import { sideInProcess } from './side-process.ts'

export interface Scale {
  readonly isSmoke: boolean
  readonly rounds: Rounds
}

export type Bench = (scale: Scale) => Promise<readonly Figure[]>

export const BENCHES: Readonly<Record<string, Bench>> = {
  'count-memory': (scale) =>
    inOneProcess('count-memory', 'count', 'memory', scale, countRatios(0.9, 0.8)),
  'count-sqlite': (scale) =>
    inOneProcess('count-sqlite', 'count', 'sqlite', scale, countRatios(0.75)),
  'reserve-memory': (scale) =>
    apart('reserve-memory', 'reserve', 'memory', scale, [casualRatio(1)]),
  'reserve-sqlite': (scale) =>
    apart('reserve-sqlite', 'reserve', 'sqlite', scale, [casualRatio(0.9)]),
  // The same in one process, where the engine pays for collecting garbage around the loop's million strings.
  'reserve-shared': (scale) =>
    inOneProcess('reserve-shared', 'reserve', 'memory', scale, [casualRatio()]),
  'restore-memory': (scale) => restore('memory', restoreSize(scale)),
  'restore-level': (scale) => restore('level', restoreSize(scale)),
  'restore-sqlite': (scale) => restore('sqlite', restoreSize(scale)),
  micro,
  resident: ({ isSmoke }) =>
    resident(
      isSmoke
        ? { ids: 2_000, further: [200], settleMs: 10 }
        : { ids: 1_000_000, further: [100_000, 1_000_000], settleMs: 10_000 },
    ),
  http: ({ isSmoke, rounds }) => http({ orders: isSmoke ? 200 : 20_000, rounds }),
}

function casualRatio(floor?: number): Ratio {
  return { of: 'engine', against: 'casual', ...(floor !== undefined && { floor }) }
}

function countRatios(casual: number, best?: number): readonly Ratio[] {
  return [casualRatio(casual), { ...casualRatio(best), against: 'best' }]
}

async function inOneProcess(
  bench: string,
  name: ProgramName,
  kind: LogKind,
  { isSmoke, rounds }: Scale,
  ratios: readonly Ratio[],
): Promise<readonly Figure[]> {
  const { program, records } = PROGRAMS[name](isSmoke)
  const { log, close } = await openBenchLog(kind)
  const sides = await Promise.all(sideNames(program).map((side) => sideOf(program, log, side)))
  const figures = await compare(bench, sides, { rounds, records, ratios })
  await close()
  return figures
}

function apart(
  bench: string,
  name: ProgramName,
  kind: LogKind,
  { isSmoke, rounds }: Scale,
  ratios: readonly Ratio[],
): Promise<readonly Figure[]> {
  const { program, records } = PROGRAMS[name](isSmoke)
  const sides = sideNames(program).map((side) => sideInProcess(name, kind, isSmoke, side))
  return compare(bench, sides, { rounds, records, ratios })
}

function restoreSize({ isSmoke, rounds }: Scale): {
  readonly keys: number
  readonly rounds: Rounds
} {
  return { keys: isSmoke ? 5_000 : 1_000_000, rounds }
}
