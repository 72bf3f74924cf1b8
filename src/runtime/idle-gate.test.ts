import { expect, test } from 'bun:test'
import {
  DelegatingLog,
  NO_HEADERS,
  RecordBatchWriter,
  type CommittedOffset,
  type TopicPartition,
} from '#log'
import { createMemoryLog } from '#log/memory'
import { VirtualClock } from '#testing'
import { IdleGate } from './idle-gate.ts'

const ORDERS = { topic: 'orders', partition: 0 }
const REPARTITION = { topic: 'up-x-repartition', partition: 0 }

/** The other application commits while its offsets are being asked for. */
class RacingLog extends DelegatingLog {
  beforeOffsets: () => Promise<unknown> = () => Promise.resolve()

  override async committedOffsets(
    group: string,
    places: readonly TopicPartition[],
  ): Promise<ReadonlyMap<string, CommittedOffset>> {
    const commit = this.beforeOffsets
    this.beforeOffsets = () => Promise.resolve()
    await commit()
    return super.committedOffsets(group, places)
  }
}

function recordOf(key: string, value: string): { bytes: Uint8Array; count: number } {
  const batch = new RecordBatchWriter()
  batch.add(1, Buffer.from(key), Buffer.from(value), NO_HEADERS)
  return { bytes: batch.finish(), count: 1 }
}

test('a record on its way from one input of the other application to another keeps a tick back', async () => {
  const clock = new VirtualClock()
  const log = new RacingLog(createMemoryLog({ clock }))
  const topics = ['orders', 'up-x-repartition', 'up-topology']
  await log.createTopics(topics.map((topic) => ({ topic, partitions: 1, config: {} })))
  const inputs = JSON.stringify({ inputs: topics.slice(0, 2), outputs: [], internal: [] })
  const writer = await log.writer({ transactionalId: 'up' })
  await writer.append({ topic: 'up-topology', partition: 0, ...recordOf('topics', inputs) })
  await writer.append({ ...ORDERS, ...recordOf('o', '1') })
  const commit = (place: TopicPartition, appends: readonly TopicPartition[]): Promise<unknown> =>
    writer.commit({
      appends: appends.map((to) => ({ ...to, ...recordOf('o', '1') })),
      groupId: 'up',
      member: undefined,
      offsets: [{ ...place, offset: 1, metadata: '' }],
    })
  let moved = false
  log.beforeOffsets = async () => {
    await commit(ORDERS, [REPARTITION])
    moved = true
  }
  let answered = 0
  const gate = new IdleGate(log, clock, () => (answered += 1))
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 50; turn += 1) await clock.turn()
  }

  expect(gate.mayTick('up', clock.elapsedMs())).toBe(false)
  await settle()
  expect(moved).toBe(true)
  expect(answered).toBe(0)
  expect(gate.mayTick('up', clock.elapsedMs())).toBe(false)

  await commit(REPARTITION, [])
  clock.advance(1_001)
  gate.mayTick('up', clock.elapsedMs())
  await settle()
  expect(answered).toBe(1)
  expect(gate.mayTick('up', clock.elapsedMs())).toBe(true)
})
