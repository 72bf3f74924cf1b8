/** What is the same afterwards, what is not touched, and what is refused, on logs in memory. */
import { describe, expect, test } from 'bun:test'
import {
  DelegatingLog,
  partitionKey,
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
  refusal,
  recordsOf,
  run,
  type TestRecord,
  withoutOffsets,
} from './test-helper/logs.ts'

const HEADERS = [
  ['trace', Buffer.from('t1')],
  ['trace', null],
] as const
const COMPACT = { 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': '0.01' }

async function filled(): Promise<MemoryLog> {
  const source = createMemoryLog()
  await create(source, 'orders', 3)
  await append(source, place('orders', 0), [
    { key: 'a', value: '1', timestampMs: 10, headers: HEADERS },
    { key: null, value: '2', timestampMs: 5 },
  ])
  await append(source, place('orders', 0), [{ key: 'a', value: null, timestampMs: -1 }])
  await append(source, place('orders', 2), [{ key: 'ü', value: '' }], 'gzip')
  await append(source, place('orders', 2), [{ key: 'z', value: 'z'.repeat(5_000) }], 'zstd')
  return source
}

describe('a migration', () => {
  test('brings topics with partitions, configs and every field of every record, in order', async () => {
    const source = await filled()
    const target = createMemoryLog()
    const report = await run(source, target)
    const [orders] = await target.describeTopics(['orders'])
    expect(orders).toMatchObject({ partitions: 3, config: { 'retention.ms': '-1' } })
    for (const partition of [0, 1, 2]) {
      const at = place('orders', partition)
      expect(await read(target, at)).toEqual(await read(source, at))
    }
    expect(report.topics).toMatchObject([
      { topic: 'orders', copied: 5, verified: { records: 5, removed: 0 } },
    ])
  })

  test('begins at 0 and closes gaps; committed offsets and positions follow, their metadata stays', async () => {
    const source = createMemoryLog()
    await create(source, 'table', 1, COMPACT)
    await append(source, place('table'), [{ key: 'gone', value: 'x' }])
    await append(
      source,
      place('table'),
      ['a', 'b', 'a', 'c', 'a', 'd'].map((key, n) => ({ key, value: `${n}` })),
    )
    await source.deleteRecords(place('table'), 1)
    await source.settleMaintenance()
    const before = await read(source, place('table'))
    expect(before.map(({ offset }) => offset)).toEqual([2, 4, 5, 6])
    for (const [groupId, offset] of [
      ['at-b', 2],
      ['at-gap', 3],
      ['at-d', 6],
      ['at-end', 7],
    ] as const) {
      await commit(source, [], {
        groupId,
        offsets: [{ ...place('table'), offset, metadata: `m${offset}` }],
      })
    }
    const target = createMemoryLog()
    await run(source, target)
    const after = await read(target, place('table'))
    expect(after.map(({ offset }) => offset)).toEqual([0, 1, 2, 3])
    expect(withoutOffsets(after)).toEqual(withoutOffsets(before))
    const committed = async (groupId: string) =>
      (await target.committedOffsets(groupId, [place('table')])).get(partitionKey(place('table')))
    expect(await committed('at-b')).toEqual({ offset: 0, metadata: 'm2' })
    expect(await committed('at-gap')).toEqual({ offset: 1, metadata: 'm3' })
    expect(await committed('at-d')).toEqual({ offset: 3, metadata: 'm6' })
    expect(await committed('at-end')).toEqual({ offset: 4, metadata: 'm7' })
  })

  test('done again does nothing; with more records on the source since, it says so', async () => {
    const source = await filled()
    const target = createMemoryLog()
    expect(await run(source, target)).toMatchObject({ isRepeated: false })
    expect(await run(source, target)).toMatchObject({ isRepeated: true })
    expect(await read(target, place('orders'))).toHaveLength(3)
    await append(source, place('orders', 1), [{ value: 'late' }])
    expect(await refusal(run(source, target))).toMatch(/^SOURCE_MOVED: .*orders/)
    expect(await read(target, place('orders', 1))).toEqual([])
  })

  test('of chosen topics goes on with the others later, with the groups that then can go whole', async () => {
    const source = await filled()
    await create(source, 'stock')
    await append(source, place('stock'), [{ key: 'a', value: '1' }])
    const offsets = [place('orders', 0), place('stock')].map((at) => ({
      ...at,
      offset: 1,
      metadata: '',
    }))
    await commit(source, [], { groupId: 'both', offsets })
    await commit(source, [], { groupId: 'one', offsets: offsets.slice(0, 1) })
    const target = createMemoryLog()
    const first = await run(source, target, { selection: { topics: ['orders'] } })
    expect(first.groups).toEqual(['one'])
    expect(first.notes).toEqual(['group both needs stock, which is not chosen: it stays behind'])
    const second = await run(source, target)
    expect(second.groups.toSorted()).toEqual(['both', 'one'])
    expect(second.topics.map(({ topic, copied }) => [topic, copied])).toEqual([
      ['orders', 0],
      ['stock', 1],
    ])
    const carried = await target.committedOffsets('both', offsets)
    expect([...carried.values()].map(({ offset }) => offset)).toEqual([1, 1])
  })

  test('does not carry its own ledger further', async () => {
    const target = createMemoryLog()
    await run(await filled(), target)
    const third = createMemoryLog()
    await run(target, third)
    expect((await third.describeTopics()).map(({ topic }) => topic).toSorted()).toEqual(
      [LEDGER_TOPIC, 'orders'].toSorted(),
    )
    expect(await read(third, place('orders'))).toEqual(await read(target, place('orders')))
  })

  test('leaves out what only its cluster meant, and says so', async () => {
    const source = createMemoryLog()
    const config = {
      'min.insync.replicas': '2',
      'message.timestamp.type': 'LogAppendTime',
      'retention.ms': '-1',
    }
    await create(source, 'stamped', 1, config)
    await append(source, place('stamped'), [{ value: 'x', timestampMs: 1 }])
    const target = createMemoryLog()
    const { notes } = await run(source, target)
    expect(notes).toHaveLength(2)
    expect((await target.describeTopics(['stamped']))[0]?.config).toEqual({ 'retention.ms': '-1' })
    expect(await read(target, place('stamped'))).toEqual(await read(source, place('stamped')))
  })
})

describe('refused, with nothing changed:', () => {
  test('a group with members, on either side', async () => {
    const source = await filled()
    const offsets = [{ ...place('orders'), offset: 1, metadata: '' }]
    await commit(source, [], { groupId: 'live', offsets })
    const join = {
      groupId: 'live',
      topics: ['orders'],
      userData: () => new Uint8Array(),
      assignor: () => new Map(),
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 10_000,
    }
    const member = await source.join(join)
    while ((await source.describeGroups(['live']))[0]?.members.length !== 1) await Bun.sleep(1)
    const target = createMemoryLog()
    expect(await refusal(run(source, target))).toMatch(
      /^GROUP_LIVE: group live has members on the source/,
    )
    expect(await target.describeTopics()).toEqual([])
    // Left out by name it is nobody's concern.
    await run(source, target, { selection: { groups: [] } })
    await member.close({ leave: true })
    const there = await target.join(join)
    while ((await target.describeGroups(['live']))[0]?.members.length !== 1) await Bun.sleep(1)
    expect(await refusal(run(source, target))).toMatch(
      /^GROUP_LIVE: group live has members on the target/,
    )
    await there.close({ leave: true })
  })

  test('a target that holds other records, another topic of that name, or offsets of that group', async () => {
    const source = await filled()
    const offsets = [{ ...place('orders'), offset: 1, metadata: '' }]
    await commit(source, [], { groupId: 'g', offsets })
    const used = createMemoryLog()
    await create(used, 'orders', 3)
    await append(used, place('orders', 1), [{ value: 'mine' }])
    expect(await refusal(run(source, used))).toMatch(/^TARGET_IN_USE: orders-1 .*did not bring/)
    expect(await read(used, place('orders', 1))).toHaveLength(1)
    const narrow = createMemoryLog()
    await create(narrow, 'orders', 2)
    expect(await refusal(run(source, narrow))).toMatch(/^TARGET_IN_USE: orders .*2 partitions/)
    const known = createMemoryLog()
    await create(known, 'orders', 3)
    await commit(known, [], { groupId: 'g', offsets })
    expect(await refusal(run(source, known))).toMatch(
      /^TARGET_IN_USE: group g has committed offsets/,
    )
    // Empty and of the same shape it is taken as it is.
    const empty = createMemoryLog()
    await create(empty, 'orders', 3)
    await run(source, empty)
    expect(await read(empty, place('orders'))).toHaveLength(3)
  })

  test('records of somebody else behind those that were brought', async () => {
    const source = await filled()
    const target = createMemoryLog()
    const stopped = run(source, target, {
      failpoint: (name) => {
        if (name === 'migration:copied') throw new TypeError('stopped here')
      },
    })
    expect(stopped).rejects.toThrow('stopped here')
    await stopped.catch(() => {})
    await append(target, place('orders', 2), [{ value: 'mine' }])
    expect(await refusal(run(source, target))).toMatch(/^TARGET_IN_USE: orders-2/)
  })

  test('an offset below what its topic still has', async () => {
    const source = await filled()
    const offsets = [{ ...place('orders'), offset: 1, metadata: '' }]
    await commit(source, [], { groupId: 'slow', offsets })
    await source.deleteRecords(place('orders'), 2)
    const target = createMemoryLog()
    expect(await refusal(run(source, target))).toMatch(
      /^OFFSETS_LOST: group slow is at 1 of orders-0, which begins at 2/,
    )
  })

  test('topics and groups that are not there, or cannot go alone; the same log twice', async () => {
    const source = await filled()
    await create(source, 'g-changelog')
    const offsets = [{ ...place('orders'), offset: 1, metadata: '' }]
    await commit(source, [], { groupId: 'g', offsets })
    const target = createMemoryLog()
    const refused = (selection: object) => refusal(run(source, target, { selection }))
    expect(await refused({ topics: ['nope'] })).toMatch(/^SELECTION: there is no topic nope/)
    expect(await refused({ groups: ['nope'] })).toMatch(/^SELECTION: there is no group nope/)
    expect(await refused({ topics: ['orders'], groups: ['g'] })).toMatch(
      /^SELECTION: group g needs g-changelog/,
    )
    expect(await refusal(run(source, source))).toMatch(/^SELECTION: .*same log/)
    expect(await target.describeTopics()).toEqual([])
  })

  test('records that come in meanwhile: offsets wait, and the next call goes on', async () => {
    const source = await filled()
    const offsets = [{ ...place('orders'), offset: 3, metadata: '' }]
    await commit(source, [], { groupId: 'g', offsets })
    const target = createMemoryLog()
    const writer = await source.writer()
    let late: Promise<unknown> = Promise.resolve()
    const first = run(source, target, {
      failpoint: (name) => {
        if (name === 'migration:copied') late = append(source, place('orders'), [{ value: 'late' }])
      },
    })
    expect(await refusal(first)).toMatch(/^SOURCE_MOVED: records came into orders/)
    await late
    await writer.close()
    expect((await target.committedOffsets('g', [place('orders')])).size).toBe(0)
    const second = await run(source, target)
    expect(second.topics[0]?.copied).toBe(1)
    expect(await read(target, place('orders'))).toEqual(await read(source, place('orders')))
    const carried = await target.committedOffsets('g', [place('orders')])
    expect([...carried.values()]).toEqual([{ offset: 3, metadata: '' }])
  })
})

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

describe('comparing', () => {
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
    const source = createMemoryLog()
    await create(source, 'orders')
    const records = [
      { key: 'a', value: '1', timestampMs: 10, headers: HEADERS },
      { key: null, value: '2', timestampMs: 5 },
    ]
    await append(source, place('orders'), records)
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
    expect(report.topics[0]?.verified).toMatchObject({ records: 4, removed: 1 })
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
})
