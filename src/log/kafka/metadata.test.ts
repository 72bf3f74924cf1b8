import { expect, test } from 'bun:test'

import { CODE } from './errors.ts'
import { isUnknownTopic, Metadata } from './metadata.ts'

type Answer = Parameters<Metadata['learn']>[0]

const BROKERS = [
  { nodeId: 1, host: 'a', port: 9092, rack: null },
  { nodeId: 2, host: 'b', port: 9092, rack: null },
]

function answer(
  topics: readonly {
    readonly name: string
    readonly topicId?: string
    readonly errorCode?: number
    /** Node and epoch by partition. */
    readonly leaders?: readonly (readonly [number, number])[]
  }[],
  brokers = BROKERS,
): Answer {
  return {
    throttleTimeMs: 0,
    brokers,
    clusterId: 'c',
    controllerId: 1,
    topics: topics.map(({ name, topicId = 'one', errorCode = 0, leaders = [] }) => ({
      errorCode,
      name,
      topicId,
      isInternal: false,
      partitions: leaders.map(([leaderId, leaderEpoch], partitionIndex) => ({
        errorCode: 0,
        partitionIndex,
        leaderId,
        leaderEpoch,
        replicaNodes: [],
        isrNodes: [],
        offlineReplicas: [],
      })),
      topicAuthorizedOperations: 0,
    })),
  }
}

test('a broker that lags behind is not believed: an epoch never goes back', () => {
  const metadata = new Metadata()
  metadata.learn(answer([{ name: 'orders', leaders: [[1, 5]] }]))
  metadata.learn(answer([{ name: 'orders', leaders: [[2, 4]] }]))
  expect(metadata.topic('orders')?.partitions).toEqual([{ nodeId: 1, leaderEpoch: 5 }])
  metadata.learn(answer([{ name: 'orders', leaders: [[2, 6]] }]))
  expect(metadata.topic('orders')?.partitions).toEqual([{ nodeId: 2, leaderEpoch: 6 }])
})

test('a topic that was created anew begins anew, under its new id only', () => {
  const metadata = new Metadata()
  metadata.learn(answer([{ name: 'orders', topicId: 'one', leaders: [[1, 5]] }]))
  metadata.learn(answer([{ name: 'orders', topicId: 'two', leaders: [[2, 0]] }]))
  const partitions = [{ nodeId: 2, leaderEpoch: 0 }]
  expect(metadata.topic('orders')).toEqual({ topicId: 'two', partitions })
  expect(metadata.topicName('one')).toBeUndefined()
  expect(metadata.topicName('two')).toBe('orders')
})

test('what a response says of a leader counts if it is newer, and names one', () => {
  const metadata = new Metadata()
  metadata.learn(answer([{ name: 'orders', leaders: [[1, 5]] }]))
  for (const hint of [
    { nodeId: 2, leaderEpoch: 5 },
    { nodeId: 2, leaderEpoch: 4 },
    { nodeId: -1, leaderEpoch: 6 },
  ]) {
    metadata.learnLeader('orders', 0, hint)
    expect(metadata.topic('orders')?.partitions).toEqual([{ nodeId: 1, leaderEpoch: 5 }])
  }
  metadata.learnLeader('orders', 0, { nodeId: 2, leaderEpoch: 6 })
  expect(metadata.topic('orders')?.partitions).toEqual([{ nodeId: 2, leaderEpoch: 6 }])
  // Of what nobody has described, a hint alone makes nothing.
  metadata.learnLeader('orders', 1, { nodeId: 2, leaderEpoch: 6 })
  metadata.learnLeader('stock', 0, { nodeId: 2, leaderEpoch: 6 })
  expect(metadata.topic('orders')?.partitions).toHaveLength(1)
  expect(metadata.topic('stock')).toBeUndefined()
})

test('a topic that is answered with an error is forgotten, and the error is kept', () => {
  const metadata = new Metadata()
  metadata.learn(answer([{ name: 'orders', leaders: [[1, 5]] }]))
  metadata.learn(answer([{ name: 'orders', errorCode: CODE.unknownTopicOrPartition }]))
  expect(metadata.topic('orders')).toBeUndefined()
  expect(metadata.topicName('one')).toBeUndefined()
  expect(isUnknownTopic(metadata.refusal('orders'))).toBeTrue()
  metadata.learn(answer([{ name: 'orders', errorCode: CODE.topicAuthorizationFailed }]))
  expect(isUnknownTopic(metadata.refusal('orders'))).toBeFalse()
  metadata.learn(answer([{ name: 'orders', leaders: [[1, 5]] }]))
  expect(metadata.refusal('orders')).toBeUndefined()
})

test('a broker that knows of none, as one that starts, does not make the others forgotten', () => {
  const metadata = new Metadata()
  metadata.learn(answer([]))
  metadata.learn(answer([], []))
  expect([...metadata.brokers.keys()]).toEqual([1, 2])
  metadata.learn(answer([], BROKERS.slice(1)))
  expect([...metadata.brokers.keys()]).toEqual([2])
})
