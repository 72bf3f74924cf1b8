/** What runs end to end: each program with its rounds of orders, on either log. */
import { BestCount, CasualCount, COUNT_STORE, countTopology } from './count.ts'
import type { Program } from './end-to-end.ts'
import { ordersFrom, withRepeats } from './orders.ts'
import { LoopReserve, reserveTopology, SEEN_STORE, STOCK_STORE } from './reserve.ts'

export interface SizedProgram {
  readonly program: Program
  /** Of a round that counts. */
  readonly records: number
}

export type ProgramName = 'count' | 'reserve'

/** One order in so many comes twice. */
const REPEATS = 20

export const PROGRAMS: Readonly<Record<ProgramName, (isSmoke: boolean) => SizedProgram>> = {
  count(isSmoke) {
    const records = isSmoke ? 2_000 : 400_000
    const program: Program = {
      topology: countTopology,
      engine: { backend: 'memory' },
      loops: { casual: () => new CasualCount(), best: () => new BestCount() },
      stores: [COUNT_STORE],
      orders: (round) => ordersFrom(round * records, records),
    }
    return { program, records }
  },
  /** The first round leaves a million ids behind, which every later one is checked against. */
  reserve(isSmoke) {
    const records = isSmoke ? 2_000 : 100_000
    const held = isSmoke ? 10_000 : 1_000_000
    const program: Program = {
      topology: reserveTopology,
      engine: { backend: 'memory' },
      loops: { casual: () => new LoopReserve() },
      stores: [SEEN_STORE, STOCK_STORE],
      orders: (round) =>
        round === 0
          ? ordersFrom(0, held)
          : withRepeats(ordersFrom(held + (round - 1) * records, records), REPEATS),
    }
    return { program, records }
  },
}
