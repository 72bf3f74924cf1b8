/** What names offsets of other topics names the same records afterwards. */
import { describe, expect, test } from 'bun:test'
import { Buffer } from 'node:buffer'
import { RecordCursor, type FetchedBatch, type Log } from '#log'
import { createMemoryLog } from '#log/memory'
import { decodeJournal, encodeJournal, ERROR_HEADER_PREFIX } from '#runtime'
import { append, create, place, read, refusal, run } from './test-helper/logs.ts'

const DAY_MS = 86_400_000
const COMPACT = { 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': '0.01' }

/** As an application describes itself when it starts. */
async function describeApplication(log: Log, id: string, inputs: readonly string[]): Promise<void> {
  await create(log, `${id}-topology`, 1, { 'cleanup.policy': 'compact' })
  const value = JSON.stringify({ inputs, outputs: [], internal: [] })
  await append(log, place(`${id}-topology`), [{ key: 'topics', value, timestampMs: DAY_MS }])
}

const origin = (topic: string, partition: number, offset: number) =>
  Object.entries({ exception: 'TypeError', stacktrace: null, topic, partition, offset }).map(
    ([name, value]) =>
      [`${ERROR_HEADER_PREFIX}${name}`, value === null ? null : Buffer.from(`${value}`)] as const,
  )

/** Offsets 0 to 9 of each partition, of which compaction leaves 4, 7 and 9. */
async function filled() {
  const source = createMemoryLog()
  await create(source, 'orders', 2, COMPACT)
  for (const partition of [0, 1]) {
    const keys = ['b', 'c', 'b', 'c', 'a', 'b', 'c', 'b', 'c', 'c']
    await append(
      source,
      place('orders', partition),
      keys.map((key, n) => ({ key, value: `${n}` })),
    )
  }
  await describeApplication(source, 'app', ['orders', 'gone'])
  await source.settleMaintenance()
  const kept = await read(source, place('orders'))
  expect(kept.map(({ offset }) => offset)).toEqual([4, 7, 9])
  return source
}

describe('journals (R10)', () => {
  test('positions and rejected offsets follow their inputs, partition by partition; the rest stays', async () => {
    const source = await filled()
    await create(source, 'app-0-journal', 2)
    const entries = [
      { kind: 'run', input: 0, records: 2 },
      { kind: 'reject', input: 0, offset: 7 },
      { kind: 'tick', timeMs: 60_000 },
      { kind: 'reject', input: 1, offset: 7 },
      { kind: 'commit' },
    ] as const
    const journal = (...positions: readonly number[]) => ({
      key: 'k',
      value: encodeJournal({
        inputs: ['orders', 'gone'].map((topic, at) => ({ topic, position: positions[at] ?? 0 })),
        entries,
      }),
    })
    await append(source, place('app-0-journal', 1), [journal(4, 5), journal(8, 5), journal(10, 5)])
    const target = createMemoryLog()
    await run(source, target)
    // `read` shows text: the bytes are taken from the log itself.
    const found = await journalsOf(target, 'app-0-journal', 1)
    expect(found.map(({ inputs }) => inputs.map(({ position }) => position))).toEqual([
      [0, 5],
      [2, 5],
      [3, 5],
    ])
    const moved = entries.map((entry) =>
      entry.kind === 'reject' && entry.input === 0 ? { ...entry, offset: 1 } : entry,
    )
    expect(found[0]?.entries).toEqual(moved)
  })

  test('of a topic that only looks like one stay as they are', async () => {
    const source = await filled()
    await create(source, 'other-0-journal')
    await append(source, place('other-0-journal'), [{ value: 'no journal' }])
    const target = createMemoryLog()
    await run(source, target)
    expect(await read(target, place('other-0-journal'))).toHaveLength(1)
  })

  test('that this version cannot read stop the migration', async () => {
    const source = await filled()
    await create(source, 'app-0-journal')
    await append(source, place('app-0-journal'), [{ value: Buffer.from([99]) }])
    expect(await refusal(run(source, createMemoryLog()))).toMatch(/^JOURNAL_NEWER/)
  })

  test('do not go without the inputs', async () => {
    const source = await filled()
    await create(source, 'app-0-journal')
    const selection = { topics: ['app-0-journal', 'app-topology'] }
    expect(await refusal(run(source, createMemoryLog(), { selection }))).toMatch(
      /^SELECTION: app-0-journal names offsets of orders/,
    )
  })
})

describe('dead letters', () => {
  test('tell where the record is now; the other headers and the value stay', async () => {
    const source = await filled()
    await create(source, 'app-dead-letters')
    const headers = [['offset', Buffer.from('7')] as const, ...origin('orders', 1, 7)]
    await append(source, place('app-dead-letters'), [
      { key: 'b', value: 'bytes', headers },
      // Compaction has taken this one: its place is between two others.
      { key: 'b', value: 'bytes', headers: origin('orders', 0, 5) },
      { key: 'b', value: 'bytes', headers: origin('gone', 0, 5) },
    ])
    const target = createMemoryLog()
    await run(source, target)
    const before = await read(source, place('app-dead-letters'))
    const after = await read(target, place('app-dead-letters'))
    const offsets = after.map(
      (record) => record.headers.find(([name]) => name.endsWith('.offset'))?.[1],
    )
    expect(offsets).toEqual(['1', '1', '5'])
    expect(after[0]?.headers.filter(([name]) => !name.endsWith('errors.offset'))).toEqual(
      before[0]?.headers.filter(([name]) => !name.endsWith('errors.offset')) ?? [],
    )
    expect(after.map(({ key, value }) => [key, value])).toEqual(
      before.map(({ key, value }) => [key, value]),
    )
  })

  test('of whoever reads dead letters follow them', async () => {
    const source = await filled()
    // Made first, so that the order of the topics is not what makes it right.
    await create(source, 'again-dead-letters')
    await create(source, 'app-dead-letters', 1, COMPACT)
    await describeApplication(source, 'again', ['app-dead-letters'])
    for (const key of ['x', 'x', 'y']) {
      await append(source, place('app-dead-letters'), [
        { key, value: 'v', headers: origin('orders', 0, 9) },
      ])
    }
    await source.settleMaintenance()
    const headers = [...origin('orders', 0, 9), ...origin('app-dead-letters', 0, 2)]
    await append(source, place('again-dead-letters'), [{ key: 'y', value: 'v', headers }])
    const target = createMemoryLog()
    await run(source, target)
    const [letter] = await read(target, place('again-dead-letters'))
    const offsets = letter?.headers.flatMap(([name, value]) =>
      name.endsWith('.offset') ? [value] : [],
    )
    expect(offsets).toEqual(['2', '1'])
  })

  test('that name each other are refused', async () => {
    const source = await filled()
    for (const [id, other] of [
      ['one', 'two'],
      ['two', 'one'],
    ] as const) {
      await create(source, `${id}-dead-letters`)
      await describeApplication(source, id, [`${other}-dead-letters`])
    }
    expect(await refusal(run(source, createMemoryLog()))).toMatch(
      /^SELECTION: .*name offsets of each other/,
    )
  })
})

async function journalsOf(log: Log, topic: string, partition: number) {
  const reader = log.reader()
  reader.assign([{ topic, partition, position: 0 }])
  const batches = await reader.poll({ waitMs: 0, bytesMax: 1 << 20 })
  await reader.close()
  return batches.flatMap((batch) => valuesOf(batch).map((value) => decodeJournal(value, '0_1')))
}

function valuesOf(batch: FetchedBatch): readonly Uint8Array[] {
  const cursor = new RecordCursor()
  cursor.open(batch.bytes, batch)
  const values: Uint8Array[] = []
  while (cursor.next()) values.push(cursor.buffer.subarray(cursor.valueStart, cursor.valueEnd))
  return values
}
