/**
 * What a task did in one commit, step by step: the records it took, in their order, and what it decided beside them. Read from
 * its inputs and the journal record of the commit (R10).
 *
 * Invariant: every record that counts below the committed offsets comes once, in the order in which the task took it.
 */
import { partitionKey, type OffsetCommit, type TopicPartition } from '#log'
import { decodeJournal, type JournalEntry } from '#runtime'
import type { Broker } from '../broker.ts'
import { recordsOf, type PlainRecord } from './records.ts'

export type TaskStep =
  | {
      readonly kind: 'record'
      readonly input: TopicPartition
      readonly record: PlainRecord
      /** R14: kept from every node, by a clock that is no longer there. */
      readonly isRejected: boolean
    }
  | Exclude<JournalEntry, { readonly kind: 'run' | 'reject' }>

export class TaskSteps {
  readonly #broker: Broker
  readonly #taskId: string
  readonly #inputs: readonly TopicPartition[]
  readonly #positions = new Map<string, number>()

  constructor(broker: Broker, taskId: string, inputs: readonly TopicPartition[]) {
    this.#broker = broker
    this.#taskId = taskId
    this.#inputs = inputs
  }

  /** On to these offsets. */
  *next(offsets: readonly OffsetCommit[], journal: Uint8Array | undefined): Generator<TaskStep> {
    const targets = new Map(offsets.map((offset) => [partitionKey(offset), offset.offset]))
    const entries = journal === undefined ? [] : decodeJournal(journal, this.#taskId).entries
    const rejected = new Set<string>()
    for (const entry of entries) {
      if (entry.kind === 'reject') rejected.add(`${entry.input} ${entry.offset}`)
    }
    for (const entry of entries) {
      if (entry.kind === 'run') yield* this.#run(entry.input, entry.records, targets, rejected)
      else if (entry.kind !== 'reject') yield entry
    }
    for (const index of this.#inputs.keys()) {
      yield* this.#run(index, Number.POSITIVE_INFINITY, targets, rejected)
    }
    for (const [key, target] of targets) this.#positions.set(key, target)
  }

  /** So many records of an input, or all below its target. */
  *#run(
    index: number,
    recordsMax: number,
    targets: ReadonlyMap<string, number>,
    rejected: ReadonlySet<string>,
  ): Generator<TaskStep> {
    const input = this.#inputs[index]
    if (input === undefined) return
    const key = partitionKey(input)
    const from = this.#positions.get(key) ?? 0
    for (const record of this.#recorded(input, from, targets.get(key) ?? from, recordsMax)) {
      this.#positions.set(key, record.offset + 1)
      yield { kind: 'record', input, record, isRejected: rejected.has(`${index} ${record.offset}`) }
    }
  }

  /** What counts, of what lies between two offsets. */
  #recorded(
    input: TopicPartition,
    from: number,
    target: number,
    recordsMax: number,
  ): readonly PlainRecord[] {
    const { topic, partition } = input
    const kept = this.#broker.partition(input)
    const records: PlainRecord[] = []
    for (let at = kept.indexFrom(from); records.length < recordsMax; at += 1) {
      const entry = kept.entries[at]
      if (entry === undefined || entry.baseOffset >= target) break
      if (entry.bytes === undefined || entry.transaction?.isCommitted === false) continue
      for (const record of recordsOf({ topic, partition, bytes: entry.bytes })) {
        const isWanted = record.offset >= from && record.offset < target
        if (isWanted && records.length < recordsMax) records.push(record)
      }
    }
    return records
  }
}
