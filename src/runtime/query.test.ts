import { afterEach, describe, expect, test } from 'bun:test'
import { createMemoryLog, type MemoryLog } from '#log/memory'
import { string, StreamsBuilder, topic, tumbling } from '#topology'
import { Streams } from './streams.ts'
import { gate, FaultyLog } from './test-helpers/faulty-log.ts'
import { appendTexts } from './test-helpers/log-texts.ts'

const words = topic('words', { key: string(), value: string() })
const other = topic('other', { key: string(), value: string() })

function tables() {
  const builder = new StreamsBuilder('queries')
  const grouped = builder.stream(words).groupByKey()
  const counts = grouped.count('counts')
  const perMinute = grouped.windowedBy(tumbling({ sizeMs: 60_000, graceMs: 0 })).count('per-minute')
  const latest = builder.table('latest', other)
  return { topology: builder.build(), counts, perMinute, latest }
}

let running: Streams[] = []
afterEach(async () => {
  await Promise.all(running.map((streams) => streams.close({ leave: true })))
  running = []
})

async function started() {
  const inner: MemoryLog = createMemoryLog()
  await inner.createTopics(
    ['words', 'other'].map((name) => ({ topic: name, partitions: 3, config: {} })),
  )
  const log = new FaultyLog(inner)
  const { topology, ...handles } = tables()
  const streams = new Streams(topology, { log, backend: 'memory' })
  running.push(streams)
  await streams.start()
  return { log, streams, ...handles }
}

type Started = Awaited<ReturnType<typeof started>>

/** Everything appended, as input positions to wait for. */
async function ends({ log }: Started): Promise<Record<string, number>> {
  const positions: Record<string, number> = {}
  for (const name of ['words', 'other']) {
    for (let partition = 0; partition < 3; partition += 1) {
      const end = await log.endOffset({ topic: name, partition }, 'read-committed')
      positions[`${name}-${partition}`] = end
    }
  }
  return positions
}

const MINUTE = 60_000

describe('a query', () => {
  test('answers points, ranges and windows by the stored table, typed', async () => {
    const app = await started()
    await appendTexts(app.log, 'words', [
      ['a', 'x', 0],
      ['b', 'x', 10],
      ['a', 'x', MINUTE],
      ['a', 'x', MINUTE + 1],
    ])
    const minPositions = await ends(app)
    const counts = app.streams.query(app.counts)
    const count: number | undefined = (await counts.get('a', { minPositions })).value
    expect(count).toBe(3)
    expect((await counts.get('nobody')).value).toBeUndefined()
    const rows = (await counts.range({}, { minPositions })).value
    expect(rows.map(({ key, value }) => [key, value] as const).sort()).toEqual([
      ['a', 3],
      ['b', 1],
    ])
    expect(rows.find(({ key }) => key === 'a')?.timestampMs).toBe(MINUTE + 1)
    expect((await counts.range({ from: 'b' })).value.map(({ key }) => key)).toEqual(['b'])
    expect((await counts.range({ rowsMax: 1 })).value.length).toBe(1)

    const perMinute = app.streams.query(app.perMinute)
    expect((await perMinute.get('a', MINUTE)).value).toBe(2)
    expect((await perMinute.get('a', 2 * MINUTE)).value).toBeUndefined()
    expect((await perMinute.fetch('a')).value).toEqual([
      { key: 'a', value: 1, timestampMs: 0, windowStartMs: 0, windowEndMs: MINUTE },
      {
        key: 'a',
        value: 2,
        timestampMs: MINUTE + 1,
        windowStartMs: MINUTE,
        windowEndMs: 2 * MINUTE,
      },
    ])
    expect((await perMinute.fetch('a', { fromMs: 1 })).value.length).toBe(1)
    expect((await perMinute.windows({ toMs: 0 })).value.map(({ key }) => key).sort()).toEqual([
      'a',
      'b',
    ])
  })

  test('reads a source table, whose changelog is its input or a topic of its own', async () => {
    const app = await started()
    await appendTexts(app.log, 'other', [
      ['k', 'one', 5],
      ['k', 'two', 6],
    ])
    const answer = await app.streams.query(app.latest).get('k', { minPositions: await ends(app) })
    expect(answer.value).toBe('two')
  })

  test('says how far its answer is, and waits for what it is asked to have seen (R16, I14)', async () => {
    const app = await started()
    await appendTexts(app.log, 'words', [['a', 'x', 0]])
    const minPositions = await ends(app)
    const first = await app.streams.query(app.counts).get('a', { minPositions })
    expect(first.lagRecords).toBe(0)
    expect(first.stale).toBe(false)
    const moved = Object.entries(minPositions).find(([, offset]) => offset > 0)
    expect(first.positions[moved?.[0] ?? '']).toBe(1)
  })

  test('never shows what is not committed (R16)', async () => {
    const app = await started()
    const commit = gate()
    const inFlight = gate()
    app.log.beforeCommit = () => {
      inFlight.open()
      return commit.opened
    }
    await appendTexts(app.log, 'words', [['a', 'x', 0]])
    await inFlight.opened
    const counts = app.streams.query(app.counts)
    expect((await counts.get('a')).value).toBeUndefined()
    const minPositions = await ends(app)
    await expect(counts.get('a', { minPositions, waitMs: 20 })).rejects.toMatchObject({
      code: 'QUERY_STALE',
    })
    const waiting = counts.get('a', { minPositions })
    commit.open()
    expect((await waiting).value).toBe(1)
  })

  test('of a store that is not there, or of a closed application, is refused by name', async () => {
    const app = await started()
    expect(() => app.streams.query({ name: 'nothing' })).toThrow(/no store nothing/)
    const counts = app.streams.query(app.counts)
    await app.streams.close({ leave: true })
    await expect(counts.get('a')).rejects.toMatchObject({ code: 'QUERY_NOT_HERE' })
    expect((await counts.range({}, { localOnly: true })).value).toEqual([])
    running = []
  })
})
