/** Reading while brokers die, freeze and come back. */
import { kafkaForTests, startCluster } from '#kafka-for-tests'
import { systemClock as clock, systemRandom as random } from '#system'
import { describe, expect, test } from 'bun:test'

import { openKafkaLog } from '../kafka-log.ts'
import { fresh } from '../log.contract/harness.ts'
import { appendOf, recordsOf, valuesOf } from '../log.contract/records.ts'
import { openCluster } from './cluster.ts'
import { createReader } from './fetcher.ts'
import { kafkaOptions } from './kafka-url.ts'

// Whether there can be brokers at all.
const kafka = await kafkaForTests()

describe.skipIf(kafka === undefined)('a reader on three brokers', () => {
  test('reads everything once and in order while leaders die, freeze, move and come back', async () => {
    const brokers = await startCluster({ brokers: 3 })
    const options = await kafkaOptions(`kafka://${brokers.bootstrap}`)
    const log = await openKafkaLog(options, { clock, random })
    const cluster = await openCluster(options, { clock, random })
    try {
      const topic = fresh('orders')
      const partitions = [0, 1, 2]
      await log.createTopics([{ topic, partitions: 3, config: {} }])
      const writer = await log.writer()
      const reader = createReader(cluster, { isolation: 'read-committed' })
      reader.assign(partitions.map((partition) => ({ topic, partition, position: 0 })))
      const written = [0, 0, 0]
      const seen: string[][] = [[], [], []]
      /** Ten more records to each of the partitions, which are then read. */
      const goOn = async (chosen: readonly number[]): Promise<void> => {
        const appends = chosen.flatMap((partition) =>
          Array.from({ length: 10 }, () => {
            const value = `${(written[partition] = (written[partition] ?? 0) + 1)}`
            return writer.append(appendOf({ topic, partition }, [value]))
          }),
        )
        await Promise.all(appends)
        const until = clock.elapsedMs() + 40_000
        while (seen.some((values, partition) => values.length < (written[partition] ?? 0))) {
          if (clock.elapsedMs() > until) throw new Error(`read ${seen.map((v) => v.length)}`)
          for (const batch of await reader.poll({ waitMs: 200, bytesMax: 1 << 20 })) {
            seen[batch.partition]?.push(...valuesOf(recordsOf([batch])).map(String))
          }
        }
      }
      const leaderOf = async (partition: number): Promise<number> =>
        (await cluster.leader({ topic, partition })).nodeId
      await goOn(partitions)
      const dead = await leaderOf(0)
      await brokers.kill(dead)
      await goOn(partitions)
      await brokers.start(dead)
      await goOn(partitions)
      const frozen = await leaderOf(1)
      const led = await Promise.all(partitions.map(leaderOf))
      const others = partitions.filter((partition) => led[partition] !== frozen)
      expect(others.length).toBeGreaterThan(0)
      await brokers.stop(frozen)
      await goOn(others)
      await brokers.cont(frozen)
      await goOn(partitions)
      for (const [partition, values] of seen.entries()) {
        const count = written[partition] ?? 0
        expect(values).toEqual(Array.from({ length: count }, (_, n) => `${n + 1}`))
      }
    } finally {
      await cluster.close()
      await log.close()
      await brokers.down()
    }
  }, 300_000)
})
