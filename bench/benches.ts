/** Every bench by its name, at the size that its figures are quoted for, or small. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLog, type Log } from '#log'
import { createMemoryLog } from '#log/memory'
import { BestCount, CasualCount, COUNT_STORE, countTopology } from './count.ts'
import { endToEnd } from './end-to-end.ts'
import type { Figure } from './figure.ts'
import { ordersFrom, withRepeats } from './orders.ts'
import { LoopReserve, reserveTopology, SEEN_STORE, STOCK_STORE } from './reserve.ts'
import { restore } from './restore.ts'
import type { Floor, Rounds } from './rounds.ts'

export interface Scale {
  readonly isSmoke: boolean
  readonly rounds: Rounds
}

type Bench = (scale: Scale) => Promise<readonly Figure[]>

export const BENCHES: Readonly<Record<string, Bench>> = {
  'count-memory': (scale) =>
    count('count-memory', createMemoryLog(), scale, [
      { of: 'engine', against: 'casual', floor: 0.9 },
      { of: 'engine', against: 'best', floor: 0.8 },
    ]),
  'count-sqlite': (scale) =>
    withSqliteLog((log) =>
      count('count-sqlite', log, scale, [
        { of: 'engine', against: 'casual', floor: 0.75 },
        { of: 'engine', against: 'best' },
      ]),
    ),
  'reserve-memory': (scale) =>
    reserve('reserve-memory', createMemoryLog(), scale, [
      { of: 'engine', against: 'casual', floor: 1 },
    ]),
  'reserve-sqlite': (scale) =>
    withSqliteLog((log) =>
      reserve('reserve-sqlite', log, scale, [{ of: 'engine', against: 'casual', floor: 0.9 }]),
    ),
  'restore-memory': (scale) => restore('memory', restoreSize(scale)),
  'restore-level': (scale) => restore('level', restoreSize(scale)),
  'restore-sqlite': (scale) => restore('sqlite', restoreSize(scale)),
}

function count(
  bench: string,
  log: Log,
  { isSmoke, rounds }: Scale,
  floors: readonly Floor[],
): Promise<readonly Figure[]> {
  const records = isSmoke ? 2_000 : 400_000
  return endToEnd({
    bench,
    log,
    topology: countTopology,
    engine: { backend: 'memory' },
    loops: { casual: () => new CasualCount(), best: () => new BestCount() },
    stores: [COUNT_STORE],
    records,
    orders: (round) => ordersFrom((round + 1) * records, records),
    rounds,
    floors,
  })
}

/** One order in twenty comes twice. */
const REPEATS = 20

function reserve(
  bench: string,
  log: Log,
  { isSmoke, rounds }: Scale,
  floors: readonly Floor[],
): Promise<readonly Figure[]> {
  const records = isSmoke ? 2_000 : 200_000
  const held = isSmoke ? 10_000 : 1_000_000
  return endToEnd({
    bench,
    log,
    topology: reserveTopology,
    engine: { backend: 'memory' },
    loops: { casual: () => new LoopReserve() },
    stores: [SEEN_STORE, STOCK_STORE],
    records,
    orders: (round) =>
      round < 0
        ? ordersFrom(0, held)
        : withRepeats(ordersFrom(held + round * records, records), REPEATS),
    rounds,
    floors,
  })
}

function restoreSize({ isSmoke, rounds }: Scale): {
  readonly keys: number
  readonly rounds: Rounds
} {
  return { keys: isSmoke ? 5_000 : 1_000_000, rounds }
}

async function withSqliteLog<T>(use: (log: Log) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  try {
    return await use(await openLog(`sqlite:${join(folder, 'log.db')}`))
  } finally {
    rmSync(folder, { recursive: true })
  }
}
