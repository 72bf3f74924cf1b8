import { describe, expect, test } from 'bun:test'
import { StreamsBuilder } from './builder.ts'
import { counts, input, named, other, output, text } from './test-helper/built.ts'
import { topic } from './topic.ts'
import { type Topology, topicNameOnLog } from './topology.ts'
import { store } from './typed-store.ts'

const generated = () => new StreamsBuilder('app', { names: 'generated' })
const sourcesOf = ({ subTopologies }: Topology): readonly (readonly string[])[] =>
  subTopologies.map(({ sources }) => sources.flatMap(({ topics }) => topics))

describe('sub-topologies', () => {
  test('what goes through a topic is apart, numbered by the first node', () => {
    const builder = named()
    builder.stream(input).repartition('r').to(output)
    builder.stream(other).to(output)
    const topology = builder.build()
    expect(sourcesOf(topology)).toEqual([['in'], ['r-repartition'], ['other']])
    expect(topology.subTopologies.map(({ number }) => number)).toEqual([0, 1, 2])
  })

  test('a shared store joins what has no edge between', () => {
    const builder = named()
    const shared = store('shared', text)
    builder.stream(input).processValues('p', { shared }, (value) => value)
    builder.stream(topic('alone', text)).to(output)
    builder.stream(other).processValues('q', { shared }, (value) => value)
    expect(sourcesOf(builder.build())).toEqual([['in', 'other'], ['alone']])
  })

  test('a join joins', () => {
    const builder = named()
    const table = builder.table('t', other)
    builder.stream(input).join(table, (value, found) => value + found)
    expect(sourcesOf(builder.build())).toEqual([['other', 'in']])
  })

  test('parents come before children, stores in the order in which nodes meet them', () => {
    const builder = named()
    const [z, a] = [store('z', text), store('a', text)]
    builder
      .stream(input)
      .processValues('p', { z }, (v) => v)
      .processValues('q', { a, z }, (v) => v)
    const [only] = builder.build().subTopologies
    expect(only?.stores.map(({ name }) => name)).toEqual(['z', 'a'])
    expect(only?.nodes.map(({ kind }) => kind)).toEqual(['source', 'process', 'process'])
  })
})

describe('co-partitioned', () => {
  test('both sides of a join, behind a repartition too', () => {
    const builder = generated()
    const table = builder.table(other)
    builder
      .stream(input)
      .selectKey((value) => value)
      .join(table, (value) => value)
    const groups = builder.build().subTopologies.flatMap(({ coPartitioned }) => coPartitioned)
    expect(groups).toEqual([['KSTREAM-KEY-SELECT-0000000004-repartition', 'other']])
  })

  test('what meets in a store; Kafka Streams does not ask for it', () => {
    const groups = (compatibility?: 'kafka-streams') => {
      const options = compatibility === undefined ? {} : { compatibility }
      const builder = new StreamsBuilder('app', options)
      const shared = store('shared', text)
      builder.stream(input).processValues('p', { shared }, (value) => value)
      builder.stream(other).processValues('q', { shared }, (value) => value)
      return builder.build().subTopologies.flatMap(({ coPartitioned }) => coPartitioned)
    }
    expect(groups()).toEqual([['in', 'other']])
    expect(groups('kafka-streams')).toEqual([])
  })

  test('a processor below a table’s own source meets nobody', () => {
    const builder = named()
    const table = builder.table('t', input)
    table.toStream().processValues('p', { table }, (value) => value)
    expect(builder.build().subTopologies[0]?.coPartitioned).toEqual([])
  })
})

describe('repartition topics', () => {
  test('1.7: a name gives topic and nodes their names; the suffix is not doubled', () => {
    const builder = named()
    builder.stream(input).repartition('by-item')
    builder.stream(input).repartition('b-repartition')
    const topics = builder.build().internalTopics.map(({ name }) => name)
    expect(topics).toEqual(['by-item-repartition', 'b-repartition'])
    expect(builder.build().describe()).toContain('Source: by-item-repartition-source')
  })

  test('a named grouping is repartitioned once, however many aggregates it has', () => {
    const builder = generated()
    const grouped = builder.stream(input).groupBy((value) => value, { grouped: 'g' })
    grouped.count()
    grouped.count()
    const topics = builder.build().internalTopics.filter(({ kind }) => kind === 'repartition')
    expect(topics.map(({ name }) => name)).toEqual(['g-repartition'])
  })

  test('null keys are dropped in front of one, but not where a left join is below', () => {
    const filters = (left: boolean) => {
      const builder = generated()
      const table = builder.table(other)
      const stream = builder.stream(input).selectKey((value) => value)
      if (left) stream.leftJoin(table, (value) => value)
      else stream.join(table, (value) => value)
      const { nodes } = builder.build()
      return nodes.find(({ name }) => name.startsWith('KSTREAM-FILTER'))?.kind
    }
    expect(filters(false)).toBe('drop-null-keys')
    expect(filters(true)).toBe('pass')
  })

  test('its source trusts what was checked upstream, and has no guards', () => {
    const builder = named()
    builder.stream(input, { idle: { closeMs: 1 } }).repartition('r', { partitions: 3 })
    const topology = builder.build()
    expect(topology.subTopologies[1]?.sources[0]).toMatchObject({
      internal: true,
      idle: undefined,
      maxAdvanceMs: undefined,
      timestampExtractor: { name: 'fail' },
    })
    expect(topology.internalTopics[0]).toMatchObject({ kind: 'repartition', partitions: 3 })
  })
})

test('R12: a repartition that passes time on says so at both ends', () => {
  const builder = named()
  const windows = { sizeMs: 10, advanceMs: 10, graceMs: 0 }
  builder
    .stream(input)
    .groupByKey()
    .windowedBy(windows)
    .count('n', { emit: 'on-close' })
    .toStream()
    .selectKey(() => 'all')
    .repartition('totals', { time: 'slowest-upstream' })
  const [above, below] = builder.build().subTopologies
  expect(above?.sinks[0]?.sendsTime).toBe(true)
  expect(below?.sources[0]?.time).toBe('slowest-upstream')
})

test('internal topics carry the application’s id on the log, others do not', () => {
  const builder = named()
  builder.stream(input).groupByKey().count('n').toStream().to(counts)
  const topology = builder.build()
  expect(topicNameOnLog(topology, 'n-changelog')).toBe('app-n-changelog')
  expect(topicNameOnLog(topology, 'counts')).toBe('counts')
})

test('as plain data: functions and serdes by name only', () => {
  const builder = named()
  builder
    .stream(input)
    .mapValues(() => 1)
    .groupByKey()
    .count('n')
    .toStream()
    .to(counts)
  const data = JSON.parse(JSON.stringify(builder.build()))
  expect(data.subTopologies[0].nodes[0]).toMatchObject({ key: 'string', topics: ['in'] })
  expect(data.subTopologies[0].nodes[2]).toEqual({
    kind: 'aggregate',
    name: 'KSTREAM-AGGREGATE-0000000002',
    parents: ['KSTREAM-MAPVALUES-0000000001'],
    stores: ['n'],
    store: 'n',
    sendsOldValues: false,
  })
  expect(data.subTopologies[0].stores[0]).toMatchObject({ name: 'n', value: 'long' })
})
