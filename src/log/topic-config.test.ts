import { describe, expect, test } from 'bun:test'

import { LogError } from './log.ts'
import { checkTopicSpec, topicSettings } from './topic-config.ts'

describe('topic settings', () => {
  test('what Kafka Streams asks for its internal topics is legal', () => {
    checkTopicSpec({
      topic: 'campus-inventory-stock-changelog',
      partitions: 4,
      config: {
        'cleanup.policy': 'compact,delete',
        'retention.ms': '-1',
        'segment.bytes': '52428800',
        'message.timestamp.type': 'CreateTime',
      },
    })
  })

  test.each([
    [{ topic: '', partitions: 1, config: {} }, 'a name has'],
    [{ topic: '..', partitions: 1, config: {} }, 'a name has'],
    [{ topic: 'a/b', partitions: 1, config: {} }, 'a name has'],
    [{ topic: 'a', partitions: 0, config: {} }, '0 partitions'],
    [{ topic: 'a', partitions: 1.5, config: {} }, '1.5 partitions'],
    [{ topic: 'a', partitions: 1, config: { 'retention.hours': '1' } }, '"retention.hours"'],
    [{ topic: 'a', partitions: 1, config: { 'retention.ms': 'long' } }, 'retention.ms'],
    [{ topic: 'a', partitions: 1, config: { 'cleanup.policy': 'burn' } }, '"burn"'],
  ])('%j is refused, and the message names why', (spec, named) => {
    const refusal = (): void => checkTopicSpec(spec)
    expect(refusal).toThrow(LogError)
    expect(refusal).toThrow(named)
  })

  test('defaults are Kafka’s', () => {
    expect(topicSettings({})).toMatchObject({
      compacts: false,
      deletes: true,
      retentionMs: 604_800_000,
      deleteRetentionMs: 86_400_000,
      retentionBytes: Number.POSITIVE_INFINITY,
    })
    expect(topicSettings({ 'cleanup.policy': 'compact', 'retention.ms': '-1' })).toMatchObject({
      compacts: true,
      deletes: false,
      retentionMs: Number.POSITIVE_INFINITY,
    })
  })
})
