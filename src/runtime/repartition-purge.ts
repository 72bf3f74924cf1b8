/**
 * Deletes from repartition topics what their one reader has committed, if that is asked for.
 *
 * A repartition topic is an input like any other: whoever wants to replay what is below it keeps it (R11), so nothing is deleted
 * unless the application says how often.
 *
 * Invariant: nothing at or beyond an offset that the group has committed is deleted, and nothing of a topic that a store is
 * restored from.
 */
import { partitionKey, type Log, type TopicPartition } from '#log'
import { topicNameOnLog, type Topology } from '#topology'
import { changelogTopicOf, inputTopicsOf } from './internal-names.ts'
import type { Machine } from './streams-options.ts'

export interface RepartitionPurgeSetup {
  readonly log: Log
  readonly topology: Topology
  readonly machine: Machine
  /** Infinity: never. */
  readonly repartitionPurgeIntervalMs: number
}

/** A running task: everything below `appliedInputs` is committed. */
export interface PurgedTask {
  readonly inputs: readonly TopicPartition[]
  readonly appliedInputs: Readonly<Record<string, number>>
}

export class RepartitionPurge {
  readonly #setup: RepartitionPurgeSetup
  readonly #topics: ReadonlySet<string>
  /** What each partition was purged to. */
  readonly #purgedTo = new Map<string, number>()
  #lookedAtMs: number
  #inFlight: Promise<void> | undefined

  constructor(setup: RepartitionPurgeSetup) {
    this.#setup = setup
    this.#topics = purgeableTopics(setup.topology)
    this.#lookedAtMs = setup.machine.clock.elapsedMs()
  }

  /** Starts a purge if one is due and none is under way. */
  look(tasks: Iterable<PurgedTask>): void {
    const { machine, repartitionPurgeIntervalMs } = this.#setup
    const nowMs = machine.clock.elapsedMs()
    if (nowMs - this.#lookedAtMs < repartitionPurgeIntervalMs) return
    if (this.#inFlight !== undefined || this.#topics.size === 0) return
    this.#lookedAtMs = nowMs
    const due: (TopicPartition & { readonly offset: number })[] = []
    for (const { inputs, appliedInputs } of tasks) {
      for (const { topic, partition } of inputs) {
        const offset = appliedInputs[partitionKey({ topic, partition })] ?? 0
        if (this.#topics.has(topic)) due.push({ topic, partition, offset })
      }
    }
    this.#inFlight = this.#purge(due).finally(() => (this.#inFlight = undefined))
  }

  /** No purge is under way any more. */
  async settle(): Promise<void> {
    await this.#inFlight
  }

  async #purge(due: readonly (TopicPartition & { readonly offset: number })[]): Promise<void> {
    for (const { topic, partition, offset } of due) {
      const key = partitionKey({ topic, partition })
      if (offset <= (this.#purgedTo.get(key) ?? 0)) continue
      try {
        await this.#setup.log.deleteRecords({ topic, partition }, offset)
        this.#purgedTo.set(key, offset)
      } catch {
        // Nothing depends on it: the next one deletes what this one has not.
      }
    }
  }
}

function purgeableTopics(topology: Topology): ReadonlySet<string> {
  const { subTopologies, internalTopics } = topology
  const changelogs = new Set(
    subTopologies.flatMap(({ stores }) => stores.map((spec) => changelogTopicOf(topology, spec))),
  )
  const readers = subTopologies.flatMap((sub) => [...new Set(inputTopicsOf(topology, sub))])
  const topics = internalTopics
    .filter(({ kind }) => kind === 'repartition')
    .map(({ name }) => topicNameOnLog(topology, name))
  return new Set(
    topics.filter(
      (topic) => !changelogs.has(topic) && readers.filter((read) => read === topic).length === 1,
    ),
  )
}
