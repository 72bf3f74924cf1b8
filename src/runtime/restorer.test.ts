import { describe, expect, test } from 'bun:test'
import { NO_HEADERS, RecordBatchWriter } from '#log'
import { createMemoryLog, type MemoryLog } from '#log/memory'
import type { StateStore, StoreChange } from '#state'
import { MemoryBackend } from '#state/memory'
import type { Happening } from '#system'
import { VirtualClock } from '#testing'
import { long, string, StreamsBuilder, topic, type StoreSpec } from '#topology'
import { OpenStore } from './open-store.ts'
import { Restorer } from './restorer.ts'
import { machineOf } from './streams-options.ts'

const utf8 = new TextEncoder()
const CHANGELOG = { topic: 'changelog', partition: 0 }
const OPTIONS = { applicationId: 'app', taskId: '0_0', rowsMax: 10, fetchBytesMax: 400 }

function countStore(): StoreSpec {
  const builder = new StreamsBuilder('app')
  builder
    .stream(topic('words', { key: string(), value: string() }))
    .groupByKey()
    .count('counts')
  const spec = builder.build().subTopologies[0]?.stores[0]
  if (spec === undefined) throw new TypeError('a count has a store')
  return spec
}

async function setting(records: number) {
  const clock = new VirtualClock()
  const log = createMemoryLog({ clock })
  await log.createTopics([{ topic: 'changelog', partitions: 1, config: {} }])
  await append(log, 0, records)
  const happenings: Happening[] = []
  const machine = machineOf({ clock, observer: (happening) => void happenings.push(happening) })
  const { store } = await new MemoryBackend().open({
    applicationId: 'app',
    taskId: '0_0',
    storeName: 'counts',
  })
  const applies: number[] = []
  const apply = store.apply.bind(store)
  store.apply = async (changes: readonly StoreChange[], header) => {
    applies.push(changes.length)
    await apply(changes, header)
  }
  const open = new OpenStore(
    {
      logId: log.id,
      applicationId: 'app',
      taskId: '0_0',
      restoreBatchRows: 1_000,
      restoreSliceRows: 3,
    },
    countStore(),
    store,
    { ...CHANGELOG, topicId: 'id', isInput: false, deleteRetentionMs: 1 },
  )
  return { clock, log, machine, open, store, applies, happenings }
}

/** Batches of five: key `k<n>` with the value `n` at time `n`. */
async function append(log: MemoryLog, from: number, to: number): Promise<void> {
  const writer = await log.writer()
  const counts = long()
  for (let first = from; first < to; first += 5) {
    const batch = new RecordBatchWriter()
    for (let n = first; n < Math.min(first + 5, to); n += 1) {
      batch.add(n, utf8.encode(`k${n}`), counts.encode(n), NO_HEADERS)
    }
    const { count } = batch
    await writer.append({ ...CHANGELOG, bytes: batch.finish(), count })
  }
}

const rowOf = (store: StateStore, n: number): Uint8Array | undefined =>
  store.get(utf8.encode(`k${n}`))

describe('a restorer', () => {
  test('applies the changelog in batches, each with the position it was read up to', async () => {
    const { log, machine, open, store, applies, happenings } = await setting(43)
    const goal = { store: open, from: 0, target: 43, reason: 'new' }
    const restorer = new Restorer(log, machine, OPTIONS, [goal])
    expect(await restorer.run()).toBe(true)
    expect(applies.reduce((sum, rows) => sum + rows, 0)).toBe(43)
    expect(applies.length).toBeGreaterThan(2)
    expect(Math.max(...applies)).toBeLessThan(30)
    expect(open.position).toBe(43)
    expect(store.header()?.changelogs).toEqual([
      { ...CHANGELOG, topicId: 'id', position: 43, leaderEpoch: 0 },
    ])
    // ts(8) ‖ value: the record carried the time.
    expect([...(rowOf(store, 7) ?? [])]).toEqual([0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 7])
    const restored = happenings.find(({ kind }) => kind === 'restored')
    expect(restored).toMatchObject({ store: 'counts', records: 43, reason: 'new' })
  })

  test('applies a batch also when few rows have many bytes', async () => {
    const { log, machine, open, applies } = await setting(43)
    const goal = { store: open, from: 0, target: 43, reason: 'new' }
    // About ten bytes a row: the rows alone would be applied once, at the end.
    const options = { ...OPTIONS, rowsMax: 1_000, bytesMax: 100 }
    expect(await new Restorer(log, machine, options, [goal]).run()).toBe(true)
    expect(applies.length).toBeGreaterThan(2)
    expect(Math.max(...applies)).toBeLessThan(30)
    expect(applies.reduce((sum, rows) => sum + rows, 0)).toBe(43)
    expect(open.position).toBe(43)
  })

  test('while other tasks run its applies are small, however much one read returns', async () => {
    const { log, machine, open, store, applies } = await setting(43)
    let asked = 0
    // Busy for a while, then alone.
    const isBusy = (): boolean => (asked += 1) < 6
    const options = { ...OPTIONS, rowsMax: 1_000, fetchBytesMax: 1_000_000, isBusy }
    const goal = { store: open, from: 0, target: 43, reason: 'new' }
    expect(await new Restorer(log, machine, options, [goal]).run()).toBe(true)
    expect(applies.slice(0, 3)).toEqual([3, 3, 3])
    expect(Math.max(...applies)).toBeGreaterThan(3)
    expect(applies.reduce((sum, rows) => sum + rows, 0)).toBe(43)
    for (let n = 0; n < 43; n += 1) expect(rowOf(store, n)).toBeDefined()
  })

  test('stopped in the middle of a batch, the store is at what it holds, and goes on from there', async () => {
    const { log, machine, open, store, applies } = await setting(40)
    const options = { ...OPTIONS, rowsMax: 3, fetchBytesMax: 1_000_000 }
    const first = new Restorer(log, machine, options, [
      { store: open, from: 0, target: 40, reason: 'new' },
    ])
    const apply = store.apply
    store.apply = async (changes, header) => {
      await apply(changes, header)
      if (applies.length === 2) first.stop()
    }
    expect(await first.run()).toBe(false)
    expect(open.position).toBe(6)
    expect(store.header()?.changelogs[0]?.position).toBe(6)
    expect(rowOf(store, 5)).toBeDefined()
    expect(rowOf(store, 6)).toBeUndefined()
    const goal = { store: open, from: 6, target: 40, reason: 'behind' }
    const second = new Restorer(log, machine, options, [goal])
    expect(await second.run()).toBe(true)
    expect(second.records).toBe(34)
  })

  test('lets everything else run between its steps', async () => {
    const { clock, log, machine, open, applies } = await setting(43)
    let turns = 0
    const over = new AbortController()
    const elsewhere = (async () => {
      for (; !over.signal.aborted; turns += 1) await clock.turn()
    })()
    const goal = { store: open, from: 0, target: 43, reason: 'new' }
    await new Restorer(log, machine, OPTIONS, [goal]).run()
    over.abort()
    await elsewhere
    expect(applies.length).toBeGreaterThan(2)
    expect(turns).toBeGreaterThan(applies.length)
  })

  test('begins at the store’s position and ends at its target, not at the end', async () => {
    const { log, machine, open, store } = await setting(40)
    const goal = { store: open, from: 12, target: 33, reason: 'behind' }
    await new Restorer(log, machine, OPTIONS, [goal]).run()
    expect(rowOf(store, 11)).toBeUndefined()
    expect(rowOf(store, 12)).toBeDefined()
    expect(rowOf(store, 32)).toBeDefined()
    expect(rowOf(store, 33)).toBeUndefined()
    expect(open.position).toBe(33)
  })

  test('with nothing to read is done, and writes nothing', async () => {
    const { log, machine, open, applies } = await setting(10)
    const goal = { store: open, from: 10, target: 10, reason: 'behind' }
    expect(await new Restorer(log, machine, OPTIONS, [goal]).run()).toBe(true)
    expect(applies).toEqual([])
    expect(open.position).toBe(10)
  })

  test('tells what is done, of how much, at which rate, and when it will end', async () => {
    const { clock, log, machine, open } = await setting(20)
    await append(log, 20, 40)
    // A target that the log has not reached yet: as after control records that are still to come.
    const restorer = new Restorer(log, machine, OPTIONS, [
      { store: open, from: 0, target: 80, reason: 'new' },
    ])
    const running = restorer.run()
    while (restorer.records < 40) await clock.turn()
    clock.advance(500)
    expect(restorer.metrics()).toEqual([
      {
        taskId: '0_0',
        store: 'counts',
        mode: 'active',
        doneRecords: 40,
        totalRecords: 80,
        recordsPerSecond: 80,
        etaMs: 500,
      },
    ])
    restorer.stop()
    expect(await running).toBe(false)
  })

  test('as a standby follows without end, until it is stopped', async () => {
    const { clock, log, machine, open, store } = await setting(20)
    const restorer = new Restorer(log, machine, OPTIONS, [
      { store: open, from: 0, target: undefined, reason: 'new' },
    ])
    const running = restorer.run()
    while (open.position < 20) await clock.turn()
    await append(log, 20, 30)
    while (open.position < 30) await clock.turn()
    expect(rowOf(store, 29)).toBeDefined()
    expect(restorer.metrics()[0]).toMatchObject({ mode: 'standby', etaMs: undefined })
    restorer.stop()
    expect(await running).toBe(false)
  })
})
