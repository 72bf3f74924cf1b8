import { Buffer } from 'node:buffer'
import { describe, expect, test } from 'bun:test'
import type { RawRecord } from '#log'
import type { TimestampExtractor, TopologyNode } from './node.ts'
import { count, dedupeStore, operator, sink, source, windowStore } from './test-helper/nodes.ts'
import { plain, Rig } from './test-helper/rig.ts'
import { TopologyError } from './topology.ts'

describe('a record', () => {
  test('runs depth first, through children in the order attached (R1)', async () => {
    const order: string[] = []
    const see = (name: string, parent: string): TopologyNode =>
      operator('peek', name, parent, { action: () => void order.push(name), ends: false })
    const nodes = [
      source('in'),
      see('a', 'in'),
      see('b', 'in'),
      see('a1', 'a'),
      see('b1', 'b'),
      see('a2', 'a'),
      see('a11', 'a1'),
    ]
    const rig = await Rig.open(nodes)
    rig.pipe('in', 'k', 'v', 1)
    expect(order).toEqual(['a', 'a1', 'a11', 'a2', 'b', 'b1'])
  })

  test('goes once through a stream merged with itself, twice through a diamond', async () => {
    const itself = await Rig.open([
      source('in'),
      operator('pass', 'm', ['in', 'in'], {}),
      sink('m'),
    ])
    itself.pipe('in', 'k', 'v', 1)
    expect(itself.take()).toEqual(['k v@1'])
    const diamond = await Rig.open([
      source('in'),
      operator('pass', 'left', 'in', {}),
      operator('pass', 'right', 'in', {}),
      sink(['left', 'right']),
    ])
    diamond.pipe('in', 'k', 'v', 1)
    expect(diamond.take()).toEqual(['k v@1', 'k v@1'])
  })

  test('with a negative timestamp is dropped and counted (T3)', async () => {
    const rig = await Rig.open([source('in'), sink('in')])
    rig.pipe('in', 'k', 'v', -1)
    expect(rig.take()).toEqual([])
    expect(rig.dropped).toEqual(['in: negative timestamp'])
  })

  test('is known by its topic as the log names it, and taken under either name', async () => {
    const topics: (string | null)[] = []
    const node = operator('process', 'p', 'in', {
      keepsKey: true,
      supplier: () => {
        let metadata = (): string | null => null
        return {
          init: (context) => {
            metadata = () => context.metadata.topic
          },
          processValue: () => void topics.push(metadata()),
        }
      },
    })
    const nodes = [source('in', { topics: ['x-repartition'], internal: true }), node]
    const rig = await Rig.open(nodes, [], { internalTopics: ['x-repartition'] })
    rig.pipe('x-repartition', 'k', 'v', 1)
    rig.pipe('app-x-repartition', 'k', 'v', 2)
    expect(topics).toEqual(['app-x-repartition', 'app-x-repartition'])
  })
})

describe('a processor that throws', () => {
  const throwing = operator('map-values', 'throws', 'in', {
    mapper: (value) => {
      if (value === 'bad') throw new RangeError('bad')
      return value
    },
  })
  const nodes = [
    source('in'),
    throwing,
    sink('throws', { name: 'first', topic: 'first' }),
    sink('in', { name: 'second', topic: 'second' }),
  ]

  test('takes everything of its record back (R15)', async () => {
    const rig = await Rig.open(nodes)
    expect(() => rig.pipe('in', 'k', 'bad', 1)).toThrow('bad')
    expect(rig.outputs).toEqual([])
  })

  test('is passed over alone where that is asked for, as in Kafka Streams (golden errors)', async () => {
    const told: string[] = []
    const passOver = (node: string, error: unknown): boolean => told.push(`${node}: ${error}`) > 0
    const rig = await Rig.open(nodes, [], { passOver })
    rig.pipe('in', 'k', 'bad', 1)
    rig.pipe('in', 'k', 'good', 2)
    expect(rig.outputs.map(({ topic, value }) => `${topic} ${value}`)).toEqual([
      'second bad',
      'first good',
      'second good',
    ])
    expect(told).toEqual(['throws: RangeError: bad'])
    const refusing = await Rig.open(nodes, [], { passOver: () => false })
    expect(() => refusing.pipe('in', 'k', 'bad', 1)).toThrow('bad')
  })
})

describe('decode', () => {
  const raw = (key: string | null, value: string | null, timestampMs = 7): RawRecord => {
    const [keyBytes, valueBytes] = [Buffer.from(key ?? ''), Buffer.from(value ?? '')]
    const keyStart = key === null ? -1 : 0
    const valueStart = value === null ? -1 : keyBytes.length
    return {
      buffer: Buffer.concat([keyBytes, valueBytes]),
      offset: 5,
      timestampMs,
      keyStart,
      keyEnd: keyBytes.length,
      valueStart,
      valueEnd: keyBytes.length + valueBytes.length,
      headerCount: 0,
      headers: () => [],
    }
  }
  const open = async (options: Parameters<typeof source>[1]) =>
    (await Rig.open([source('in', options), sink('in')])).pipeline

  test('reads key and value with the source’s serdes; what is absent is null', async () => {
    const pipeline = await open({})
    expect(pipeline.decode('in', 0, raw('"k"', '{"a":1}'), -1)).toEqual({
      key: 'k',
      value: { a: 1 },
      timestampMs: 7,
    })
    expect(pipeline.decode('in', 0, raw(null, null), -1)).toEqual({
      key: null,
      value: null,
      timestampMs: 7,
    })
  })

  test('throws what the serde throws', async () => {
    const pipeline = await open({})
    expect(() => pipeline.decode('in', 0, raw('"k"', '{'), -1)).toThrow(SyntaxError)
  })

  test('asks the extractor, which gets the partition’s time (T2)', async () => {
    const asked: unknown[] = []
    const timestampExtractor: TimestampExtractor = {
      name: 'asking',
      extract(record, partitionTimeMs) {
        asked.push(record, partitionTimeMs)
        return 42
      },
    }
    const pipeline = await open({ timestampExtractor })
    expect(pipeline.decode('in', 3, raw('"k"', '"v"'), 11).timestampMs).toBe(42)
    const record = { key: 'k', value: 'v', timestampMs: 7, offset: 5, topic: 'in', partition: 3 }
    expect(asked).toEqual([record, 11])
  })

  test('an invalid time is an error by default (T3), and always in a repartition topic', async () => {
    const skips: TimestampExtractor = { name: 'skip', extract: ({ timestampMs }) => timestampMs }
    const byDefault = await open({})
    expect(() => byDefault.decode('in', 0, raw('"k"', '"v"', -1), -1)).toThrow(TopologyError)
    const skipping = await open({ timestampExtractor: skips })
    expect(skipping.decode('in', 0, raw('"k"', '"v"', -1), -1).timestampMs).toBe(-1)
    const internal = await open({ timestampExtractor: skips, internal: true })
    expect(() => internal.decode('in', 0, raw('"k"', '"v"', -1), -1)).toThrow(TopologyError)
  })

  test('reads internal topics with the trusted serde', async () => {
    const value = { ...plain, trusted: { ...plain, read: () => 'trusted' } }
    const outside = await open({ value })
    const internal = await open({ value, internal: true })
    expect(outside.decode('in', 0, raw('"k"', '"v"'), -1).value).toBe('v')
    expect(internal.decode('in', 0, raw('"k"', '"v"'), -1).value).toBe('trusted')
  })
})

describe('time', () => {
  const windows = { sizeMs: 10, advanceMs: 10, graceMs: 0 }
  const aggregate = (name: string, parent: string, emit: 'each-update' | 'on-close') =>
    operator('window-aggregate', name, parent, {
      store: `${name}-store`,
      adder: count,
      windows,
      emit,
      sendsOldValues: false,
    })
  const stores = ['a', 'b'].map((name) => windowStore(`${name}-store`, windows))

  test('saved times have the same names from the first record on, so that they can be shortened', async () => {
    const nodes = [
      source('in'),
      operator('dedupe', 'once', 'in', { store: 'seen', by: (value) => value, withinMs: 10 }),
      aggregate('a', 'once', 'on-close'),
    ]
    const rig = await Rig.open(nodes, [...stores, dedupeStore('seen', 10)])
    const before = [...rig.pipeline.savedTimes().keys()]
    rig.pipe('in', 'k', 'x', 25)
    const after = rig.pipeline.savedTimes()
    expect([...after.keys()]).toEqual(before)
    expect(Object.fromEntries(after)).toEqual({
      ':': 25,
      ':once': 25,
      ':a': 25,
      'a-store': 20,
      '~a': 0,
    })
  })

  test('C2: the time that Kafka Streams saved by the store’s name is understood', async () => {
    const rig = await Rig.open([source('in'), aggregate('a', 'in', 'on-close'), sink('a')], stores)
    rig.pipeline.restoreTimes(new Map([['a-store', 27]]))
    rig.pipe('in', 'k', 'x', 19)
    rig.pipe('in', 'k', 'x', 20)
    rig.pipe('in', 'k', 'x', 30)
    expect(rig.dropped).toEqual(['a: late'])
    expect(rig.take()).toEqual(['k [20,30) 1@20'])
  })

  test('a tick reaches what lies below a closing window only as late as its results may come', async () => {
    const nodes = [
      source('in'),
      aggregate('a', 'in', 'on-close'),
      operator('to-stream', 'ts', 'a', {}),
      aggregate('b', 'ts', 'on-close'),
      sink('b'),
    ]
    const rig = await Rig.open(nodes, stores)
    rig.pipe('in', 'k', 'x', 5)
    rig.tick(10)
    rig.pipe('in', 'k', 'x', 11)
    rig.tick(20)
    rig.tick(29)
    expect(rig.dropped).toEqual([])
    expect(rig.outputs.map(({ timestampMs }) => timestampMs)).toEqual([5])
    expect(rig.pipeline.nextDueStreamTimeMs).toBe(30)
    rig.tick(30)
    expect(rig.outputs.map(({ timestampMs }) => timestampMs)).toEqual([5, 11])
    expect(rig.pipeline.nextDueStreamTimeMs).toBe(Infinity)
  })

  test('a tick sets the stream time that processors see, and never back', async () => {
    const rig = await Rig.open([source('in'), sink('in')])
    rig.tick(10)
    rig.tick(5)
    expect(rig.pipeline.streamTimeMs).toBe(10)
  })
})
