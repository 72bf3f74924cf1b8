/**
 * Creating, describing and deleting topics.
 *
 * Invariant: a topic that was created is known to every broker that answers, and led, before the caller hears of it; one that
 * was deleted is known to none.
 */
import type * as kafka from '@platformatic/kafka'

import { LogError, type TopicConfig, type TopicDescription, type TopicSpec } from '../log.ts'
import { checkTopicSpec } from '../topic-config.ts'
import { ANY_BROKER, type Cluster } from './cluster.ts'
import { answerOf, CODE, isRetriable, kafkaError, NO_ERROR } from './errors.ts'
import { endOffset } from './partition-offsets.ts'
import { client } from './client.ts'

const {
  ConfigResourceTypes,
  ConfigSources,
  createTopicsV7,
  deleteTopicsV6,
  describeConfigsV4,
  metadataV12,
} = client

const REQUEST_TIMEOUT_MS = 30_000
const LOOK_UP_TIMEOUT_MS = 5_000
const PATIENCE_MS = 60_000
const CONFIG_OF_TOPIC = ConfigResourceTypes.TOPIC
const SET_ON_TOPIC = ConfigSources.DYNAMIC_TOPIC_CONFIG

type ListedTopic = kafka.metadataV12.MetadataResponse['topics'][number]

export async function createTopics(
  cluster: Cluster,
  specs: readonly TopicSpec[],
  replicationFactor: number,
): Promise<void> {
  const wanted = new Map<string, TopicSpec>()
  for (const spec of specs) {
    checkTopicSpec(spec)
    const same = wanted.get(spec.topic)
    if (same === undefined) wanted.set(spec.topic, spec)
    else if (same.partitions !== spec.partitions) throw mismatch(spec, same.partitions)
  }
  if (wanted.size === 0) return
  const deadlineMs = cluster.clock.elapsedMs() + PATIENCE_MS
  await cluster.retrying(deadlineMs, async () => {
    const existing = await cluster.partitionCounts([...wanted.keys()])
    const missing: TopicSpec[] = []
    for (const spec of wanted.values()) {
      const partitions = existing.get(spec.topic)
      if (partitions === undefined) missing.push(spec)
      else if (partitions !== spec.partitions) throw mismatch(spec, partitions)
    }
    if (missing.length === 0) return
    // Created by somebody else in between they are retriable: looked at again, as the others' are.
    await requestTopics(cluster, missing, replicationFactor)
    await untilLed(cluster, missing, deadlineMs)
  })
}

async function requestTopics(
  cluster: Cluster,
  specs: readonly TopicSpec[],
  replicationFactor: number,
): Promise<void> {
  const requested = specs.map(({ topic, partitions, config }) => ({
    name: topic,
    numPartitions: partitions,
    replicationFactor,
    assignments: [],
    configs: Object.entries(config).map(([name, value]) => ({ name, value })),
  }))
  const { topics } = await cluster.call(ANY_BROKER, 'admin', REQUEST_TIMEOUT_MS, (connection) =>
    answerOf(createTopicsV7.api.async(connection, requested, REQUEST_TIMEOUT_MS, false)),
  )
  const failed = topics.filter(({ errorCode }) => errorCode !== NO_ERROR)
  // What will not pass is told first: the rest could be tried for ever.
  const [worst] = failed.toSorted((a, b) => rank(a.errorCode) - rank(b.errorCode))
  if (worst === undefined) return
  const { name, errorCode, errorMessage } = worst
  if (errorCode === CODE.topicAlreadyExists) {
    throw new LogError('LOG_UNAVAILABLE', `${name} was created meanwhile`, { retriable: true })
  }
  throw kafkaError(errorCode, `creating ${name}`, { detail: errorMessage ?? null })
}

function rank(code: number): number {
  return isRetriable(code) || code === CODE.topicAlreadyExists ? 1 : 0
}

/** Metadata has a topic before its leaders take requests, and one broker has it before another. */
async function untilLed(
  cluster: Cluster,
  specs: readonly TopicSpec[],
  deadlineMs: number,
): Promise<void> {
  const names = specs.map(({ topic }) => topic)
  await untilEveryBroker(cluster, deadlineMs, names, ({ errorCode, partitions }) => {
    return errorCode === NO_ERROR && partitions.every(({ leaderId }) => leaderId >= 0)
  })
  await cluster.refresh(names)
  for (const { topic, partitions } of specs) {
    const places = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }))
    await Promise.all(places.map((place) => endOffset(cluster, place, 'read-uncommitted')))
  }
}

/** Brokers that cannot be reached are left out: they learn of it before they serve anybody again. */
async function untilEveryBroker(
  cluster: Cluster,
  deadlineMs: number,
  names: readonly string[],
  isSettled: (topic: ListedTopic) => boolean,
): Promise<void> {
  const ask = (nodeId: number): Promise<kafka.metadataV12.MetadataResponse> =>
    cluster.call(nodeId, 'admin', LOOK_UP_TIMEOUT_MS, (connection) =>
      answerOf(metadataV12.api.async(connection, [...names], false, false)),
    )
  const { brokers } = await ask(ANY_BROKER)
  const waits = brokers.map(({ nodeId }) =>
    cluster.retrying(deadlineMs, async () => {
      const answer = await ask(nodeId).catch(() => undefined)
      if (answer === undefined || answer.topics.every(isSettled)) return
      const message = `broker ${nodeId} has not heard of all of ${names.join(', ')}`
      throw new LogError('LOG_UNAVAILABLE', message, { retriable: true })
    }),
  )
  await Promise.all(waits)
}

export async function describeTopics(
  cluster: Cluster,
  names: readonly string[] | undefined,
): Promise<readonly TopicDescription[]> {
  if (names?.length === 0) return []
  const deadlineMs = cluster.clock.elapsedMs() + PATIENCE_MS
  return cluster.retrying(deadlineMs, async () => {
    const found = await listTopics(cluster, names)
    if (found.length === 0) return []
    const configs = await configsOf(
      cluster,
      found.map(({ name }) => name ?? ''),
    )
    const described: TopicDescription[] = []
    for (const { name, topicId, partitions } of found) {
      const config = configs.get(name ?? '')
      // Without one it was deleted in between.
      if (typeof name !== 'string' || config === undefined) continue
      described.push({ topic: name, partitions: partitions.length, config, topicId })
    }
    return described
  })
}

/** In the order asked for; Kafka's own topics are nobody's concern. */
async function listTopics(
  cluster: Cluster,
  names: readonly string[] | undefined,
): Promise<readonly ListedTopic[]> {
  const { topics } = await cluster.call(ANY_BROKER, 'admin', LOOK_UP_TIMEOUT_MS, (connection) =>
    answerOf(
      metadataV12.api.async(connection, names === undefined ? null : [...names], false, false),
    ),
  )
  const listed = new Map<string, ListedTopic>()
  for (const each of topics) {
    const { errorCode, name, isInternal } = each
    if (typeof name !== 'string') continue
    if (errorCode === NO_ERROR) {
      if (names !== undefined || !isInternal) listed.set(name, each)
      // An illegal name exists nowhere.
    } else if (errorCode !== CODE.unknownTopicOrPartition && errorCode !== CODE.invalidTopic) {
      throw kafkaError(errorCode, `describing ${name}`)
    }
  }
  const inOrder = names ?? [...listed.keys()]
  return inOrder.flatMap((name) => listed.get(name) ?? [])
}

/** What was set on each topic, as opposed to what it inherits. */
async function configsOf(
  cluster: Cluster,
  names: readonly string[],
): Promise<ReadonlyMap<string, TopicConfig>> {
  const resources = names.map((resourceName) => ({ resourceType: CONFIG_OF_TOPIC, resourceName }))
  const { results } = await cluster.call(ANY_BROKER, 'admin', LOOK_UP_TIMEOUT_MS, (connection) =>
    answerOf(describeConfigsV4.api.async(connection, resources, false, false)),
  )
  const configs = new Map<string, TopicConfig>()
  for (const { resourceName, errorCode, errorMessage, configs: settings } of results) {
    if (errorCode === CODE.unknownTopicOrPartition) continue
    if (errorCode !== NO_ERROR) {
      const detail = errorMessage ?? null
      throw kafkaError(errorCode, `describing ${resourceName}`, { detail })
    }
    const set = settings.filter(({ configSource }) => configSource === SET_ON_TOPIC)
    const named = set.map(({ name, value }): [string, string] => [name, value ?? ''])
    configs.set(resourceName, Object.fromEntries(named))
  }
  return configs
}

export async function deleteTopics(cluster: Cluster, names: readonly string[]): Promise<void> {
  if (names.length === 0) return
  const deadlineMs = cluster.clock.elapsedMs() + PATIENCE_MS
  const existing = await cluster.partitionCounts(names)
  const missing = names.find((name) => !existing.has(name))
  if (missing !== undefined) throw new LogError('TOPIC_UNKNOWN', `there is no topic ${missing}`)
  await cluster.retrying(deadlineMs, async () => {
    const requested = names.map((name) => ({ name, topicId: null }))
    const { responses } = await cluster.call(
      ANY_BROKER,
      'admin',
      REQUEST_TIMEOUT_MS,
      (connection) => answerOf(deleteTopicsV6.api.async(connection, requested, REQUEST_TIMEOUT_MS)),
    )
    for (const { name, errorCode, errorMessage } of responses) {
      // Gone already: by the attempt before, or by somebody else.
      if (errorCode === NO_ERROR || errorCode === CODE.unknownTopicOrPartition) continue
      throw kafkaError(errorCode, `deleting ${name}`, { detail: errorMessage ?? null })
    }
  })
  await untilEveryBroker(cluster, deadlineMs, names, ({ errorCode }) => errorCode !== NO_ERROR)
  await cluster.refresh(names)
}

function mismatch({ topic, partitions }: TopicSpec, existing: number): LogError {
  const message = `${topic} has ${existing} partitions, not ${partitions}`
  return new LogError('TOPIC_MISMATCH', message)
}
