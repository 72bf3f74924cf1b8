/** What is the same afterwards, what is not touched, and what is refused, on logs in memory. */
import { describe, expect, test } from 'bun:test'
import { partitionKey } from '#log'
import { createMemoryLog, type MemoryLog } from '#log/memory'
import { LEDGER_TOPIC } from './ledger.ts'
import {
  append,
  commit,
  create,
  place,
  read,
  refusal,
  run,
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

  test('ends an older one to the same target, and takes over what that has done', async () => {
    const source = await filled()
    const target = createMemoryLog()
    const [older, newer] = await Promise.allSettled([run(source, target), run(source, target)])
    expect(older).toMatchObject({ status: 'rejected', reason: { code: 'LOG_FENCED' } })
    expect(newer.status).toBe('fulfilled')
    for (const partition of [0, 1, 2]) {
      const at = place('orders', partition)
      expect(await read(target, at)).toEqual(await read(source, at))
    }
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
    await expect(stopped).rejects.toThrow('stopped here')
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
