import { describe, expect, test } from 'bun:test'
import { StreamsBuilder } from './builder.ts'
import { json } from './json-serde.ts'
import { bytes, long, string } from './primitive-serdes.ts'
import { counts, input, named, nodeOf, other, output, refused, text } from './test-helper/built.ts'
import { topic } from './topic.ts'
import type { Topology } from './topology.ts'
import { store } from './typed-store.ts'
import { windowed } from './windowed-serde.ts'
import { tumbling } from './windows.ts'

const minute = tumbling({ sizeMs: 60_000, graceMs: 5_000 })

describe('a topology', () => {
  const build = (): Topology => {
    const builder = named()
    builder.stream(input).groupByKey().windowedBy(minute).count('n').toStream()
    builder
      .stream(other)
      .mapValues(() => 1)
      .to(counts)
    return builder.build()
  }

  test('is frozen, and equal if built by the same calls', () => {
    const topology = build()
    expect(Object.isFrozen(topology)).toBe(true)
    for (const part of [...topology.nodes, ...topology.subTopologies, ...topology.internalTopics]) {
      expect(Object.isFrozen(part)).toBe(true)
    }
    expect(JSON.stringify(build())).toBe(JSON.stringify(topology))
    expect(build().describe()).toBe(topology.describe())
  })

  test('is a picture of the calls so far: later ones do not change it', () => {
    const builder = named()
    builder.stream(input).to(output)
    const before = builder.build()
    builder.stream(other).to(counts as never)
    expect(before.nodes).toHaveLength(2)
    expect(builder.build().nodes).toHaveLength(4)
  })
})

describe('NAME_TAKEN, at the call', () => {
  test('two stores', () => {
    const builder = named()
    builder.stream(input).groupByKey().count('n')
    refused('NAME_TAKEN', () => builder.stream(other).groupByKey().count('n'))
    refused('NAME_TAKEN', () => builder.table('n', output))
    refused('NAME_TAKEN', () => {
      builder.stream(input).processValues('p', { n: store('n', text) }, (value) => value)
    })
  })

  test('two processors, two repartition topics', () => {
    const stream = named().stream(input)
    stream.processValues('p', {}, (value) => value)
    refused('NAME_TAKEN', () => stream.process('p', {}, function* () {}))
    stream.repartition('r')
    refused('NAME_TAKEN', () => stream.repartition('r'))
  })

  test('not one declared store in two processors', () => {
    const shared = store('shared', text)
    const stream = named().stream(input)
    stream.processValues('p', { shared }, (value) => value)
    stream.processValues('q', { shared }, (value) => value)
  })
})

test('NAME_INVALID: names of applications, stores, processors and repartition topics', () => {
  refused('NAME_INVALID', () => new StreamsBuilder('a b'))
  refused('NAME_INVALID', () => named().stream(input).groupByKey().count('a b'))
  refused('NAME_INVALID', () =>
    named()
      .stream(input)
      .processValues('', {}, () => 1),
  )
  refused('NAME_INVALID', () => named().stream(input).repartition('x'.repeat(249)))
})

describe('NAME_REQUIRED', () => {
  test('where names are required, grouping does not repartition by itself', () => {
    const rekeyed: object = named()
      .stream(input)
      .selectKey((value) => value)
    const untyped = rekeyed as ReturnType<StreamsBuilder['stream']>
    refused('NAME_REQUIRED', () => untyped.groupByKey().count('n'))
  })

  test('where names must be explicit, a drawn one is refused when building', () => {
    const options = { names: 'generated', ensureExplicitNames: true } as const
    const builder = new StreamsBuilder('app', options)
    const stream = builder.stream(input)
    stream.groupByKey().count({ store: 'n' })
    builder.build()
    stream
      .selectKey((value) => value)
      .groupByKey()
      .count()
    refused('NAME_REQUIRED', () => builder.build())
    expect(() => builder.build()).toThrow('KSTREAM-AGGREGATE-STATE-STORE-0000000003')
  })
})

describe('TOPIC_TAKEN', () => {
  test('a table has its topic for itself', () => {
    const builder = named()
    builder.stream(input)
    refused('TOPIC_TAKEN', () => builder.table('t', input))
  })

  test('topics read together must always be read together', () => {
    const builder = named()
    builder.stream([input, other])
    builder.stream([other, input])
    refused('TOPIC_TAKEN', () => builder.stream(input))
  })

  test('a topic is read in one way', () => {
    const builder = named()
    builder.stream(input, { idle: { closeMs: 1 } })
    builder.stream(input, { idle: { closeMs: 1 } })
    refused('TOPIC_TAKEN', () => builder.stream(input))
    refused('TOPIC_TAKEN', () => builder.stream(input, { idle: { closeMs: 1, after: 'a' } }))
    const same = { idle: { closeMs: 1 } }
    refused('TOPIC_TAKEN', () => builder.stream(input, { ...same, maxAdvanceMs: 1 }))
    refused('TOPIC_TAKEN', () => builder.stream(input, { ...same, timestamps: 'skip' }))
    refused('TOPIC_TAKEN', () => builder.stream(topic('in', text), { ...same, timestamps: 'fail' }))
    const asBytes = topic('in', { key: string(), value: bytes() })
    refused('TOPIC_TAKEN', () => builder.stream(asBytes, same))
  })

  test('a topic of the application’s own cannot be read or written from outside', () => {
    const builder = named()
    builder.stream(input).repartition('r')
    builder.stream(topic('r-repartition', text)).to(output)
    refused('TOPIC_TAKEN', () => builder.build())
  })
})

describe('OPTION_INVALID', () => {
  test.each([
    ['partitions', () => named().stream(input).repartition('r', { partitions: 0 })],
    [
      'withinMs',
      () =>
        named()
          .stream(input)
          .dedupe('d', { by: (value) => value, withinMs: 0 }),
    ],
    ['closeMs', () => named().stream(input, { idle: { closeMs: 0 } })],
    ['maxAdvanceMs', () => named().stream(input, { maxAdvanceMs: -1 })],
    ['no topic', () => named().stream([])],
    [
      'branch names are no numbers',
      () =>
        named()
          .stream(input)
          .branch({ 1: () => true }),
    ],
    ['two builders', () => named().stream(input).merge(named().stream(input))],
    [
      'no topics to choose from',
      () =>
        named()
          .stream(input)
          .to(() => output, []),
    ],
  ])('%s', (_, run) => refused('OPTION_INVALID', run))

  test('windows are kept for size plus grace at least', () => {
    const windows = named().stream(input).groupByKey().windowedBy(minute)
    refused('OPTION_INVALID', () => windows.count('n', { retentionMs: 64_999 }))
    windows.count('n', { retentionMs: 65_000 })
  })

  test('level keeps no order', () => {
    const ranked = store('ranked', { ...text, ordered: true, backend: 'level' })
    const stream = named().stream(input)
    refused('OPTION_INVALID', () => stream.processValues('p', { ranked }, (value) => value))
  })

  test('streams whose keys are written in two ways are not merged', () => {
    const builder = named()
    const asJson = topic('json', { key: json(), value: string() })
    const stream: object = builder.stream(asJson)
    const untyped = stream as ReturnType<typeof builder.stream<string, string>>
    refused('OPTION_INVALID', () => builder.stream(input).merge(untyped))
  })

  test('topics to choose from have the same serdes', () => {
    const stream = named()
      .stream(input)
      .mapValues((value): never => value as never)
    refused('OPTION_INVALID', () => stream.to(() => output, [output, counts]))
  })

  test('a topic that was not listed is not chosen', () => {
    const builder = named()
    builder.stream(input).to((value) => (value === 'x' ? other : output), [output])
    const { topic: choose, topics } = nodeOf(builder.build(), 'sink')
    expect(topics).toEqual(['out'])
    if (typeof choose === 'string') return expect(choose).toBe('chosen')
    expect(choose('a', 'k')).toBe('out')
    refused('OPTION_INVALID', () => choose('x', 'k'))
  })
})

describe('STORE_UNKNOWN', () => {
  test('a store by name must have been added', () => {
    const builder = new StreamsBuilder('app', { names: 'generated' })
    const process = (stores: readonly string[]) =>
      builder.stream(input).process(() => ({ process: () => {} }), { stores })
    refused('STORE_UNKNOWN', () => process(['missing']))
    builder.addStateStore(store('missing', text))
    process(['missing'])
  })

  test('1.6: a table that nothing needs has no store yet', () => {
    const builder = new StreamsBuilder('app', { names: 'generated' })
    const table = builder.table(input)
    const process = () =>
      builder.stream(other).process(() => ({ process: () => {} }), { stores: [table.name] })
    refused('STORE_UNKNOWN', process)
    builder.stream(other).join(table, (value) => value)
    process()
  })

  test('a table of another builder', () => {
    const table = named().table('t', input)
    refused('STORE_UNKNOWN', () =>
      named()
        .stream(other)
        .processValues('p', { table }, () => 1),
    )
  })
})

test('WINDOW_REQUIRED: only what has windows can be held back until they close', () => {
  const table = named().table('t', input)
  refused('WINDOW_REQUIRED', () => table.suppress('held', { until: 'window-closes' }))
})

test('WINDOW_REQUIRED: time is passed on only by windows that close', () => {
  const builder = named()
  builder.stream(input).repartition('r', { time: 'slowest-upstream' })
  refused('WINDOW_REQUIRED', () => builder.build())
})

describe('sources', () => {
  test('R14: a day ahead at most, unless told; no limit under compatibility', () => {
    const advance = (options: { maxAdvanceMs?: number }) => {
      const builder = named()
      builder.stream(input, options)
      return nodeOf(builder.build(), 'source').maxAdvanceMs
    }
    expect(advance({})).toBe(86_400_000)
    expect(advance({ maxAdvanceMs: 5 })).toBe(5)
    expect(advance({ maxAdvanceMs: Number.POSITIVE_INFINITY })).toBeUndefined()
    const compatible = new StreamsBuilder('app', { compatibility: 'kafka-streams' })
    compatible.stream(input)
    expect(nodeOf(compatible.build(), 'source').maxAdvanceMs).toBeUndefined()
  })

  test('a topic read twice has one source, whose children run in the order of the calls', () => {
    const builder = named()
    builder.stream(input).filter(() => true)
    builder.stream(input).filter(() => false)
    const { nodes } = builder.build()
    expect(nodes.map(({ name, parents }) => [name].concat(parents))).toEqual([
      ['KSTREAM-SOURCE-0000000000'],
      ['KSTREAM-FILTER-0000000001', 'KSTREAM-SOURCE-0000000000'],
      ['KSTREAM-FILTER-0000000003', 'KSTREAM-SOURCE-0000000000'],
    ])
  })
})

describe('sinks', () => {
  test('a windowed key goes where its inner key goes', () => {
    const builder = named()
    const table = builder.stream(input).groupByKey().windowedBy(minute).count('n')
    table.toStream().to(topic('w', { key: windowed(string(), 60_000), value: long() }))
    const { partitionKey } = nodeOf(builder.build(), 'sink')
    const bytesOfKey = partitionKey?.({ key: 'a', window: { startMs: 0, endMs: 60_000 } })
    expect(bytesOfKey).toEqual(string().encode('a'))
  })

  test('headers are added by a processor in front of it', () => {
    const builder = named()
    builder.stream(input).to(output, { headers: (value) => [['event', value]] })
    const { parents } = nodeOf(builder.build(), 'sink')
    expect(parents).toEqual(['KSTREAM-PROCESSVALUES-0000000001'])
  })
})
