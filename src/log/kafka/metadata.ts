/**
 * What brokers said of topics, leaders and themselves.
 *
 * Invariant: of one topic (by its id) a leader epoch never goes back: a broker that lags behind is not believed.
 */
import type { metadataV12 } from '@platformatic/kafka'

import { CODE, NO_ERROR } from './errors.ts'
import type { BrokerAddress } from './kafka-options.ts'

export interface KnownPartition {
  /** −1 while there is none. */
  readonly nodeId: number
  readonly leaderEpoch: number
}

export interface KnownTopic {
  readonly topicId: string
  readonly partitions: readonly KnownPartition[]
}

export class Metadata {
  readonly #topics: Map<string, KnownTopic> = new Map()
  readonly #names: Map<string, string> = new Map()
  /** Topics that the last answer refused, with the code it gave. */
  readonly #refused: Map<string, number> = new Map()
  #brokers: ReadonlyMap<number, BrokerAddress> = new Map()

  get brokers(): ReadonlyMap<number, BrokerAddress> {
    return this.#brokers
  }

  topic(name: string): KnownTopic | undefined {
    return this.#topics.get(name)
  }

  topicName(topicId: string): string | undefined {
    return this.#names.get(topicId)
  }

  /** The error code that a topic was answered with; undefined if it was not answered, or exists. */
  refusal(name: string): number | undefined {
    return this.#refused.get(name)
  }

  learn({ brokers, topics }: metadataV12.MetadataResponse): void {
    // While a cluster starts, a broker may not know of any.
    if (brokers.length > 0) {
      this.#brokers = new Map(brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]))
    }
    for (const { name, topicId, errorCode, partitions } of topics) {
      if (typeof name !== 'string') continue
      if (errorCode !== NO_ERROR) {
        this.forget(name)
        this.#refused.set(name, errorCode)
        continue
      }
      this.#refused.delete(name)
      const before = this.#topics.get(name)
      if (before?.topicId !== topicId) this.forget(name)
      const known = before?.topicId === topicId ? before.partitions : []
      const led: KnownPartition[] = []
      for (const { partitionIndex, leaderId, leaderEpoch } of partitions) {
        const old = known[partitionIndex]
        led[partitionIndex] =
          old !== undefined && old.leaderEpoch > leaderEpoch
            ? old
            : { nodeId: leaderId, leaderEpoch }
      }
      this.#topics.set(name, { topicId, partitions: led })
      this.#names.set(topicId, name)
    }
  }

  /** What a response said of a partition's leader. */
  learnLeader(name: string, partition: number, leader: KnownPartition): void {
    const known = this.#topics.get(name)
    const old = known?.partitions[partition]
    if (known === undefined || old === undefined) return
    if (leader.nodeId < 0 || leader.leaderEpoch <= old.leaderEpoch) return
    this.#topics.set(name, {
      ...known,
      partitions: known.partitions.with(partition, {
        nodeId: leader.nodeId,
        leaderEpoch: leader.leaderEpoch,
      }),
    })
  }

  forget(name: string): void {
    const known = this.#topics.get(name)
    if (known !== undefined) this.#names.delete(known.topicId)
    this.#topics.delete(name)
    this.#refused.delete(name)
  }
}

/** The code of a topic that is not there, as opposed to one that could not be looked up. */
export function isUnknownTopic(code: number | undefined): boolean {
  const codes: readonly (number | undefined)[] = [
    CODE.unknownTopicOrPartition,
    CODE.unknownTopicId,
    // No topic has a name that none may have.
    CODE.invalidTopic,
  ]
  return codes.includes(code)
}
