/** 5,000 seeds over all simulated applications, before every merge; `bun run simulate` goes on from there. */
import { describe, expect, test } from 'bun:test'
import { simulate, SimulationTally } from '../index.ts'
import { MUST_HAPPEN, simulatedBy } from '../test-helper/simulated-topologies.ts'

const SEEDS = 5_000
const AT_A_TIME = 500

describe('whatever goes wrong, nothing is lost, doubled, torn or invented', () => {
  const tally = new SimulationTally()

  for (let from = 1; from <= SEEDS; from += AT_A_TIME) {
    const to = from + AT_A_TIME - 1
    test(`seeds ${from} to ${to}`, async () => {
      for (let seed = from; seed <= to; seed += 1) {
        const { name, topology, options } = simulatedBy(seed)
        const report = await simulate(topology, { ...options, seed })
        tally.add(report)
        if (report.violations.length > 0) {
          expect([name, report.options, report.violations]).toEqual([name, report.options, []])
        }
      }
    }, 120_000)
  }

  test('and every fault has happened, and what follows from it', () => {
    expect(tally.runs).toBe(SEEDS)
    expect(tally.missing(MUST_HAPPEN)).toEqual([])
  })
})
