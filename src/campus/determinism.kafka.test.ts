/**
 * The same recorded inputs give the same verdicts on Kafka as on the embedded log, with one process and with three (promise 1;
 * equal as design section 7 says). `bun run scenario kafka-equal` does it with a hundred thousand orders.
 */
import { expect, test } from 'bun:test'
import { kafkaForTests } from '#kafka-for-tests'
import { differences, equalRuns } from './scenarios/kafka/equal.ts'

const ORDERS = 20_000
const kafka = await kafkaForTests()

test.skipIf(kafka === undefined)(
  'the embedded log, Kafka with one process and Kafka with three: equal, partition by partition',
  async () => {
    const runs = await equalRuns(ORDERS, 7)
    expect(differences(runs)).toEqual([])
    // They were what they were to be, and the order of things decided.
    expect(runs.map(({ writers }) => writers)).toEqual([1, 1, 3])
    for (const { report, digests } of runs) {
      expect(digests.size).toBe(4)
      expect(report.orders + report.repeats).toBe(ORDERS)
      expect(report.repeats).toBeGreaterThan(500)
      expect(report.reserved).toBeGreaterThan(2_000)
      expect(report.failed).toBeGreaterThan(2_000)
    }
  },
  300_000,
)
