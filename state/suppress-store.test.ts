import { describe, expect, test } from 'bun:test'
import {
  BUFFER_VALUE_HEADERS,
  bufferContextBytes,
  bufferedBytes,
  bufferValueBytes,
  decodeBufferValue,
  encodeBufferValue,
  writeBufferContext,
} from './buffer-value.ts'
import { ByteWriter } from '#system'
import { HashOrder } from './hash-order.ts'
import { StateError } from './store.ts'
import { SuppressBuffer } from './suppress-store.ts'
import type { BufferedChange } from './task-store.ts'
import { commit, golden, openMemory, restore, rowsOf } from './test-helpers/task-stores.ts'

const bytes = (text: string): Uint8Array => Buffer.from(text)
const nullable = (text: string | null): Uint8Array | null => (text === null ? null : bytes(text))

function change(
  key: string,
  newValue: string | null,
  oldValue: string | null = null,
): BufferedChange {
  const context = { timestampMs: 12, offset: 34, topic: 'topic', partition: 5, headers: [] }
  return {
    key: bytes(key),
    priorValue: null,
    oldValue: nullable(oldValue),
    newValue: nullable(newValue),
    context,
  }
}

/** What the processor hands in: the prior value is the buffer's to know. */
function put(key: string, newValue: string | null, oldValue: string | null = null) {
  const { priorValue: _, ...rest } = change(key, newValue, oldValue)
  return rest
}

function texts(taken: ReturnType<SuppressBuffer['takeOldest']>): readonly unknown[] | undefined {
  if (taken === undefined) return undefined
  const { key, priorValue, oldValue, newValue } = taken.change
  const text = (each: Uint8Array | null): string | null =>
    each === null ? null : Buffer.from(each).toString()
  return [taken.timeMs, text(key), text(priorValue), text(oldValue), text(newValue)]
}

describe('bytes of the changelog value, version 3', () => {
  type Headers = readonly (readonly [string, string | null])[]
  interface ContextVector {
    readonly timestamp: number
    readonly offset: number
    readonly partition: number
    readonly topic: string
    readonly headers: Headers
    readonly hex: string
    readonly sizeEstimate: number
  }
  interface ValueVector {
    readonly prior: string | null
    readonly old: string | null
    readonly new: string | null
    readonly bufferTime: number
    readonly headers: Headers
    readonly hex: string
    readonly sizeEstimate: number
  }
  const headersOf = (headers: Headers): BufferedChange['context']['headers'] =>
    headers.map(([name, value]) => [name, nullable(value)] as const)

  test('record contexts and their size estimates are Kafka Streams’', async () => {
    const { context: vectors } = await golden<{ context: ContextVector[] }>('suppress-buffer')
    expect(vectors.length).toBeGreaterThan(5)
    for (const { timestamp, offset, partition, topic, headers, hex, sizeEstimate } of vectors) {
      const context = {
        timestampMs: timestamp,
        offset,
        partition,
        topic,
        headers: headersOf(headers),
      }
      const target = new ByteWriter()
      writeBufferContext(context, target)
      expect(target.copy().toHex()).toBe(hex)
      expect(bufferContextBytes(context)).toBe(sizeEstimate)
    }
  })

  test('buffer values and their size estimates are Kafka Streams’, and decode again', async () => {
    const { bufferValue } = await golden<{ bufferValue: ValueVector[] }>('suppress-buffer')
    expect(bufferValue.length).toBeGreaterThan(10)
    for (const vector of bufferValue) {
      const context = { ...change('k', null).context, headers: headersOf(vector.headers) }
      const buffered: BufferedChange = {
        key: bytes('k'),
        priorValue: nullable(vector.prior),
        oldValue: nullable(vector.old),
        newValue: nullable(vector.new),
        context,
      }
      expect(encodeBufferValue(buffered, vector.bufferTime).toHex()).toBe(vector.hex)
      expect(bufferValueBytes(buffered)).toBe(vector.sizeEstimate)
      expect(bufferedBytes(buffered)).toBe(vector.sizeEstimate + 8 + 1)
      const decoded = decodeBufferValue(bytes('k'), Uint8Array.fromHex(vector.hex))
      expect(decoded).toEqual({ timeMs: vector.bufferTime, change: buffered })
    }
  })

  test('a change that came from no topic keeps that', () => {
    const context = { timestampMs: 1, offset: -1, topic: null, partition: -1, headers: [] }
    const buffered = { ...change('k', 'v'), context }
    const decoded = decodeBufferValue(bytes('k'), encodeBufferValue(buffered, 7))
    expect(decoded).toEqual({ timeMs: 7, change: buffered })
  })
})

describe('the queue', () => {
  test('gives the oldest first, equal times by key bytes', async () => {
    const store = new SuppressBuffer({ name: 's', store: await openMemory(), logged: true })
    for (const [timeMs, key] of [
      [5, 'b'],
      [3, '\uffff'],
      [3, '😀'],
      [5, 'a'],
      [4, 'z'],
    ] as const) {
      store.put(timeMs, put(key, key))
    }
    expect(store.oldestTimeMs).toBe(3)
    const taken = Array.from({ length: 6 }, () => texts(store.takeOldest())?.slice(0, 2))
    expect(taken).toEqual([[3, '\uffff'], [3, '😀'], [4, 'z'], [5, 'a'], [5, 'b'], undefined])
    expect(store.oldestTimeMs).toBe(Number.POSITIVE_INFINITY)
  })

  test('U1: a later change of a key replaces the value and keeps place and prior value', async () => {
    const store = new SuppressBuffer({ name: 's', store: await openMemory(), logged: true })
    store.put(1, put('a', 'v1', 'v0'))
    store.put(2, put('b', 'w', null))
    store.put(3, put('a', 'v2', 'v1'))
    expect(store.records).toBe(2)
    expect(store.get(bytes('a'))?.newValue).toEqual(bytes('v2'))
    expect(texts(store.takeOldest())).toEqual([1, 'a', 'v0', 'v1', 'v2'])
    store.put(4, put('a', 'v3', 'v2'))
    expect(texts(store.takeOldest())?.[1]).toBe('b')
    expect(texts(store.takeOldest())).toEqual([4, 'a', 'v2', 'v2', 'v3'])
  })

  test('bytes are the sum of what is buffered (U4)', async () => {
    const store = new SuppressBuffer({ name: 's', store: await openMemory(), logged: true })
    store.put(1, put('a', '12345'))
    // time 8 + key 1 + context 25 + value 5
    expect(store.bytes).toBe(39)
    store.put(1, put('a', '1'))
    store.put(1, put('bb', '1'))
    expect(store.bytes).toBe(35 + 36)
    store.takeOldest()
    expect(store.bytes).toBe(36)
  })
})

describe('seal', () => {
  test('one record for each key touched: the value with header v = 3, or a tombstone; no timestamp', async () => {
    const backend = await openMemory()
    const store = new SuppressBuffer({ name: 's', store: backend, logged: true })
    store.put(1, put('a', 'v1'))
    store.put(1, put('a', 'v2'))
    store.put(2, put('b', 'w'))
    const first = await commit(store, backend)
    expect(first.changelog.map(({ key }) => Buffer.from(key).toString())).toEqual(['a', 'b'])
    expect(first.changelog[0]?.headers).toEqual(BUFFER_VALUE_HEADERS)
    expect(first.changelog[0]?.timestampMs).toBeUndefined()
    store.takeOldest()
    const second = await commit(store, backend)
    expect(second.changelog).toEqual([{ key: bytes('a'), value: null, timestampMs: undefined }])
    expect([...(await rowsOf(backend)).keys()]).toEqual(['62'])
    expect(store.seal()).toEqual({ changelog: [], changes: [] })
  })

  test('records go out in the order of Java’s HashSet, whose table never shrinks', () => {
    // From changelogs of the reference: windowed keys in one commit, in the order it wrote them.
    const keys = (
      '63000000000000001e 7a0000000000000016 780000000000000019 790000000000000017 790000000000000016 ' +
      '780000000000000016 790000000000000019 790000000000000018 780000000000000018 780000000000000017 ' +
      '7a0000000000000017 63000000000000001a 63000000000000001b 63000000000000001c 63000000000000001d'
    ).split(' ')
    const order = new HashOrder()
    const items = (hexes: readonly string[]) =>
      hexes.map((hex) => ({ key: Uint8Array.fromHex(hex) }))
    const hexes = (each: readonly { readonly key: Uint8Array }[]) =>
      each.map(({ key }) => key.toHex())
    expect(hexes(order.of(items(keys.toSorted())))).toEqual(keys)
    // 15 keys need 32 buckets, and the table stays so: 71 lies in bucket 16 now, in 0 of a new one.
    expect(hexes(order.of(items(['71', '62'])))).toEqual(['62', '71'])
    expect(hexes(new HashOrder().of(items(['71', '62'])))).toEqual(['71', '62'])
    // Java's bytes are signed: é is in bucket 8, not in 7 with h.
    expect(hexes(new HashOrder().of(items(['c3a9', '68'])))).toEqual(['68', 'c3a9'])
    // One bucket: the order in which they were added.
    expect(hexes(order.of(items(['62', '6161'])))).toEqual(['62', '6161'])
    expect(hexes(order.of(items(['6161', '62'])))).toEqual(['6161', '62'])
  })

  test('logged: false gives changes and no changelog', async () => {
    const store = new SuppressBuffer({ name: 's', store: await openMemory(), logged: false })
    store.put(1, put('a', 'v'))
    const { changelog, changes } = store.seal()
    expect([changelog.length, changes.length]).toEqual([0, 1])
  })
})

test('load lets others run between two chunks of rows', async () => {
  const backend = await openMemory()
  const store = new SuppressBuffer({ name: 's', store: backend, logged: true })
  for (let index = 0; index < 5_000; index++) store.put(index, put(`key-${index}`, 'v'))
  await commit(store, backend)
  let turns = 0
  const again = new SuppressBuffer({ name: 's', store: backend, logged: true })
  await again.load(async () => {
    turns += 1
  })
  expect(again.records).toBe(5_000)
  expect(turns).toBeGreaterThanOrEqual(5)
})

describe('restore', () => {
  test('refuses a record that is not version 3', async () => {
    const record = { key: bytes('a'), value: bytes('old'), timestampMs: 0 }
    const restored = restore({ name: 's', kind: 'suppress' }, await openMemory(), [record])
    await expect(restored).rejects.toThrow(StateError)
    await expect(restored).rejects.toThrow('version 0, not 3')
  })
})

describe('savepoint and rollback (R15)', () => {
  test('a key put, put again, taken and put anew in one record is undone whole', async () => {
    const backend = await openMemory()
    const store = new SuppressBuffer({ name: 's', store: backend, logged: true })
    store.put(9, put('kept', 'v'))
    await commit(store, backend)
    const before = store.bytes
    store.savepoint()
    store.put(1, put('a', 'v1'))
    store.put(1, put('a', 'v2'))
    store.takeOldest()
    store.put(3, put('a', 'v3'))
    store.takeOldest()
    store.takeOldest()
    expect(store.records).toBe(0)
    store.put(2, put('kept', 'anew'))
    store.rollback()
    expect([store.records, store.bytes, store.oldestTimeMs]).toEqual([1, before, 9])
    expect(store.seal().changelog).toEqual([])
    expect(texts(store.takeOldest())).toEqual([9, 'kept', null, null, 'v'])
    expect(store.takeOldest()).toBeUndefined()
  })
})
