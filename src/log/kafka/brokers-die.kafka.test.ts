/** Commits while brokers die: leaders, coordinators of transactions and of groups, and the controller among them. */
import { kafkaForTests, startCluster } from '#kafka-for-tests'
import { consoleConsumer } from '#kafka-for-tests/tools'
import { describe, expect, test } from 'bun:test'

import { appendOf } from '../log.contract/records.ts'
import { type LogWriter, partitionKey, type SealedCommit } from '../log.ts'
import { WriterRig } from './test-helpers/writer-rig.ts'

const kafka = await kafkaForTests()
const LONG_MS = 300_000
const PARTITIONS = [0, 1, 2]

describe.skipIf(kafka === undefined)('transactions', () => {
  test(
    'are whole and once while brokers die and return, recovered by R5 where they are not committed',
    async () => {
      const cluster = await startCluster({ brokers: 3 })
      const rig = await WriterRig.open(cluster.bootstrap)
      const groupId = `${rig.topic}-group`
      const transactionalId = `${rig.topic}-writer`
      const sealed = (n: number): SealedCommit => ({
        appends: PARTITIONS.map((partition) => appendOf(rig.at(partition), [`${n}`])),
        groupId,
        member: undefined,
        offsets: [{ ...rig.at(0), offset: n, metadata: '' }],
      })
      /** A new writer ends what the old one left; the stable offset says from where to go on. */
      const recover = async (): Promise<readonly [LogWriter, number]> => {
        for (;;) {
          try {
            const writer = await rig.writer({ transactionalId }, rig.faulty)
            const offsets = await rig.log.committedOffsets(groupId, [rig.at(0)])
            return [writer, offsets.get(partitionKey(rig.at(0)))?.offset ?? 0]
          } catch {
            await Bun.sleep(200)
          }
        }
      }
      try {
        let [writer, done] = await recover()
        const commitUntil = async (last: number): Promise<void> => {
          while (done < last) {
            const { outcome } = await writer.commit(sealed(done + 1))
            if (outcome === 'committed') done += 1
            else [writer, done] = await recover()
          }
        }
        await commitUntil(10)
        for (const id of cluster.brokerIds) {
          const [killed] = await Promise.all([cluster.kill(id), commitUntil(done + 20)])
          expect(killed).toBe(true)
          await Promise.all([cluster.start(id), commitUntil(done + 20)])
        }
        const expected = Array.from({ length: done }, (_, n) => `${n + 1}`)
        for (const partition of PARTITIONS) expect(await rig.values(partition)).toEqual(expected)
        const read: string[][] = [[], [], []]
        const { bootstrap } = cluster
        for await (const record of consoleConsumer({ bootstrap, topic: rig.topic })) {
          read[record.partition]?.push(record.value ?? '')
        }
        expect(read).toEqual([expected, expected, expected])
      } finally {
        await rig.close()
        await cluster.down()
      }
    },
    LONG_MS,
  )
})
