import { describe, expect, test } from 'bun:test'
import { StreamsBuilder } from './builder.ts'
import { json } from './json-serde.ts'
import { string } from './primitive-serdes.ts'
import { input, named, nodeOf, storeOf, text } from './test-helper/built.ts'
import { topic } from './topic.ts'
import { store } from './typed-store.ts'
import { tumbling } from './windows.ts'

const COMPACT = { 'cleanup.policy': 'compact', 'message.timestamp.type': 'CreateTime' }
const minute = tumbling({ sizeMs: 60_000, graceMs: 5_000 })

describe('stores of operators', () => {
  test('windows are kept for size plus grace, and nothing of their changelog is deleted by the clock', () => {
    const builder = named()
    builder.stream(input).groupByKey().windowedBy(minute).count('n', { emit: 'on-close' })
    expect(storeOf(builder.build(), 'n')).toMatchObject({
      kind: 'window',
      backend: 'level',
      sizeMs: 60_000,
      retentionMs: 65_000,
      onClose: true,
      logEvery: false,
      changelogConfig: COMPACT,
    })
  })

  test('a changelog of dedupe is not deleted by the clock either', () => {
    const builder = named()
    builder.stream(input).dedupe('seen', { by: (value) => value, withinMs: 60_000 })
    expect(storeOf(builder.build(), 'seen')?.changelogConfig).toEqual(COMPACT)
  })

  test('3.4: as Kafka Streams, the changelog of windows is kept a day longer than they are', () => {
    const builder = new StreamsBuilder('app', { compatibility: 'kafka-streams' })
    builder.stream(input).groupByKey().windowedBy(minute).count('n')
    expect(storeOf(builder.build(), 'n')?.changelogConfig).toEqual({
      ...COMPACT,
      'cleanup.policy': 'compact,delete',
      'retention.ms': '86465000',
    })
  })

  test('a declared store is plain; ranges need an ordered backend', () => {
    const builder = named()
    const ranked = store('ranked', { ...text, ordered: true })
    const plain = store('plain', { ...text, timestamped: true, backend: 'memory', logged: false })
    builder.stream(input).processValues('p', { ranked, plain }, (value) => value)
    const topology = builder.build()
    expect(storeOf(topology, 'ranked')).toMatchObject({ backend: 'sqlite', timestamped: false })
    expect(storeOf(topology, 'plain')).toMatchObject({ backend: 'memory', timestamped: true })
    expect(topology.internalTopics.map(({ name }) => name)).toEqual(['ranked-changelog'])
  })

  test('what was checked when it entered is kept with the trusted serde', () => {
    const checked = json({
      '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) },
    })
    const builder = named()
    builder.stream(topic('t', { key: string(), value: checked })).toTable('latest')
    const spec = storeOf(builder.build(), 'latest')
    expect(spec?.kind === 'key-value' && spec.value).toBe(checked.trusted)
    expect(nodeOf(builder.build(), 'source').value).toBe(checked)
  })

  test('Kafka Streams without its cache logs every put', () => {
    const builder = new StreamsBuilder('app', { compatibility: 'kafka-streams' })
    builder.stream(input).groupByKey().count('n')
    expect(storeOf(builder.build(), 'n')?.logEvery).toBe(true)
  })

  test('a suppress buffer is ordered by nature', () => {
    const builder = named()
    builder.table('t', input).suppress('held', { until: 'time-limit', durationMs: 1 })
    expect(storeOf(builder.build(), 'held')).toMatchObject({ kind: 'suppress', backend: 'sqlite' })
  })
})
