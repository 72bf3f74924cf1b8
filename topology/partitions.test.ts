import { describe, expect, test } from 'bun:test'
import { StreamsBuilder } from './builder.ts'
import { checkCoPartitioning, internalPartitions } from './partitions.ts'
import { input, named, other, output, refused, text } from './test-helper/built.ts'
import { topic } from './topic.ts'

const third = topic('third', text)
const counts = (entries: Readonly<Record<string, number>>): ReadonlyMap<string, number> =>
  new Map(Object.entries(entries))

describe('semantics 3.4: partition counts of internal topics', () => {
  test('a changelog has as many as its sub-topology has tasks', () => {
    const builder = named()
    builder.stream(input).merge(builder.stream(other)).groupByKey().count('n')
    const found = internalPartitions(builder.build(), counts({ in: 2, other: 5 }))
    expect(found).toEqual(counts({ 'n-changelog': 5 }))
  })

  test('a repartition topic has as many as the inputs of what writes it, through others too', () => {
    const builder = named()
    builder.stream(input).repartition('a').repartition('b').groupByKey().count('n')
    const found = internalPartitions(builder.build(), counts({ in: 4 }))
    expect(found).toEqual(counts({ 'a-repartition': 4, 'b-repartition': 4, 'n-changelog': 4 }))
  })

  test('or what was asked for', () => {
    const builder = named()
    builder.stream(input).repartition('a', { partitions: 1 }).groupByKey().count('n')
    const found = internalPartitions(builder.build(), counts({ in: 4 }))
    expect(found).toEqual(counts({ 'a-repartition': 1, 'n-changelog': 1 }))
  })

  test('or what it must equal', () => {
    const builder = new StreamsBuilder('app', { names: 'generated' })
    const table = builder.table(other, { store: 't' })
    builder
      .stream(input)
      .selectKey((value) => value)
      .join(table, (value) => value, { node: 'j' })
    const topology = builder.build()
    const found = internalPartitions(topology, counts({ in: 4, other: 7 }))
    expect(found).toEqual(counts({ 'j-repartition': 7, 't-changelog': 7 }))
    checkCoPartitioning(topology, counts({ in: 4, other: 7 }))
  })
})

describe('NOT_CO_PARTITIONED: topics that meet have equal counts', () => {
  test('a stream and the table that it is joined with', () => {
    const builder = named()
    builder.stream(input).join(builder.table('t', other), (value) => value)
    const topology = builder.build()
    checkCoPartitioning(topology, counts({ in: 4, other: 4 }))
    const run = (): void => checkCoPartitioning(topology, counts({ in: 4, other: 5 }))
    refused('NOT_CO_PARTITIONED', run)
    expect(run).toThrow('in has 4, other has 5 partitions')
  })

  test('a repartition topic that was given another count', () => {
    const builder = named()
    const again = builder.stream(input).repartition('r', { partitions: 2 })
    again.join(builder.table('t', other), (value) => value)
    const topology = builder.build()
    refused('NOT_CO_PARTITIONED', () => checkCoPartitioning(topology, counts({ in: 4, other: 4 })))
    checkCoPartitioning(topology, counts({ in: 4, other: 2 }))
  })

  test('a topic that is not there', () => {
    const builder = named()
    builder.stream(input).join(builder.table('t', other), (value) => value)
    refused('NOT_CO_PARTITIONED', () => checkCoPartitioning(builder.build(), counts({ in: 4 })))
  })

  test('streams that are only merged may differ', () => {
    const builder = named()
    builder.stream(input).merge(builder.stream(third)).to(output)
    checkCoPartitioning(builder.build(), counts({ in: 4, third: 5 }))
  })
})
