/** What comparing finds, and what it takes for what it is. */
import { expect, test } from 'bun:test'
import {
  DelegatingLog,
  stampOffsets,
  type FetchedBatch,
  type Isolation,
  type LogReader,
  type TopicPartition,
} from '#log'
import { createMemoryLog, type MemoryLog } from '#log/memory'
import { LEDGER_TOPIC } from './ledger.ts'
import {
  append,
  batchOf,
  commit,
  create,
  place,
  read,
  recordsOf,
  refusal,
  run,
  type TestRecord,
} from './test-helper/logs.ts'

const COMPACT = { 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': '0.01' }
const RECORDS: readonly TestRecord[] = [
  { key: 'a', value: '1', timestampMs: 10, headers: [['trace', Buffer.from('t1')]] },
  { key: null, value: '2', timestampMs: 5 },
]

async function filled(): Promise<MemoryLog> {
  const source = createMemoryLog()
  await create(source, 'orders', 2)
  await append(source, place('orders'), RECORDS)
  return source
}

/** What lies on the target is read as something else: once it has been copied. */
class TamperedLog extends DelegatingLog {
  change: ((records: TestRecord[]) => void) | undefined
  arriving: Promise<void> = Promise.resolve()

  override async endOffset(at: TopicPartition, isolation: Isolation): Promise<number> {
    await this.arriving
    return super.endOffset(at, isolation)
  }

  override reader(): LogReader {
    const reader = this.log.reader()
    const { change } = this
    return {
      assign: (positions) => reader.assign(positions),
      wake: () => reader.wake(),
      pause: (at) => reader.pause(at),
      resume: (at) => reader.resume(at),
      progress: (at) => reader.progress(at),
      close: () => reader.close(),
      poll: async (options) => {
        const batches = await reader.poll(options)
        return batches.map((batch) =>
          change === undefined || batch.topic === LEDGER_TOPIC ? batch : changed(batch, change),
        )
      },
    }
  }
}

function changed(batch: FetchedBatch, change: (records: TestRecord[]) => void): FetchedBatch {
  const records: TestRecord[] = recordsOf(batch)
  change(records)
  const bytes = batchOf(records, 'none')
  stampOffsets(bytes, { baseOffset: batch.baseOffset, leaderEpoch: 0 })
  return { ...batch, bytes }
}

const differences: readonly (readonly [string, (records: TestRecord[]) => void, RegExp])[] = [
  ['another value', ([first]) => first && Object.assign(first, { value: 'x' }), /is another/],
  ['another key', ([first]) => first && Object.assign(first, { key: 'x' }), /is another/],
  ['no key', ([, second]) => second && Object.assign(second, { key: '' }), /is another/],
  ['another time', ([first]) => first && Object.assign(first, { timestampMs: 11 }), /is another/],
  ['no headers', ([first]) => first && Object.assign(first, { headers: [] }), /is another/],
  ['another order', (records) => void records.reverse(), /is another/],
  ['a record less', (records) => void records.pop(), /is missing/],
]
test.each(differences)('finds %s, and commits no offsets', async (_what, change, message) => {
  const source = await filled()
  await commit(source, [], {
    groupId: 'g',
    offsets: [{ ...place('orders'), offset: 1, metadata: '' }],
  })
  const target = new TamperedLog(createMemoryLog())
  const refused = await refusal(
    run(source, target, {
      failpoint: (name) => {
        if (name === 'migration:copied') target.change = change
      },
    }),
  )
  expect(refused).toMatch(/^DIFFERS: orders-0/)
  expect(refused).toMatch(message)
  expect((await target.committedOffsets('g', [place('orders')])).size).toBe(0)
  // As it is, it passes.
  target.change = undefined
  expect((await run(source, target)).groups).toEqual(['g'])
})

test('finds what somebody else wrote meanwhile', async () => {
  const target = new TamperedLog(createMemoryLog())
  const refused = await refusal(
    run(await filled(), target, {
      failpoint: (name) => {
        if (name !== 'migration:copied') return
        target.arriving = append(target, place('orders', 1), [{ value: 'mine' }])
      },
    }),
  )
  expect(refused).toMatch(/^DIFFERS: orders-1: record 0 of the target came from somewhere else/)
})

test('leaves what came in on the source meanwhile to the next call', async () => {
  const source = new TamperedLog(await filled())
  const target = createMemoryLog()
  const refused = await refusal(
    run(source, target, {
      failpoint: (name) => {
        if (name !== 'migration:copied') return
        source.arriving = append(source, place('orders', 1), [{ value: 'late' }])
      },
    }),
  )
  expect(refused).toMatch(/^SOURCE_MOVED: records came into orders/)
  expect((await run(source, target)).topics[0]?.verified?.records).toBe(3)
})

test('takes retention of the target for what it is', async () => {
  const source = await filled()
  const target = createMemoryLog()
  const stopped = run(source, target, {
    failpoint: (name) => {
      if (name === 'migration:copied') throw new TypeError('stopped here')
    },
  })
  await stopped.catch(() => {})
  await target.deleteRecords(place('orders'), 1)
  const report = await run(source, target)
  expect(report.topics[0]?.verified).toMatchObject({ records: 1, removed: 1 })
})

test('takes compaction on either side for what it is', async () => {
  const source = createMemoryLog()
  await create(source, 'table', 1, COMPACT)
  const records = ['a', 'b', 'a', 'a', 'c'].map((key, n) => ({ key, value: `${n}` }))
  await append(source, place('table'), records)
  const target = createMemoryLog()
  const stopAt = (log: MemoryLog) =>
    run(source, target, {
      failpoint: (name) => {
        if (name !== 'migration:copied') return
        void log.settleMaintenance()
        throw new TypeError('stopped here')
      },
    }).catch(() => {})
  await stopAt(target)
  expect((await read(target, place('table'))).map(({ offset }) => offset)).toEqual([1, 3, 4])
  const first = await run(source, target, {
    failpoint: (name) => {
      if (name === 'migration:verified') throw new TypeError('stopped here')
    },
  }).catch((error: unknown) => String(error))
  expect(first).toContain('stopped here')
  // Now the source has cleaned up too, and more came: what it has is still where the ledger says.
  await source.settleMaintenance()
  await append(source, place('table'), [{ key: 'b', value: '5' }])
  const report = await run(source, target)
  expect(report.topics[0]).toMatchObject({ copied: 1, verified: { records: 4, removed: 0 } })
  expect(await read(target, place('table'))).toEqual(await read(source, place('table')))
})
