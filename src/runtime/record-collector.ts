/**
 * Everything a task writes to topics between two commits: outputs, repartition records, time records, late records and dead
 * letters, encoded as it comes into one batch a partition.
 *
 * Invariant: the same calls give the same bytes in the same partitions, on every machine and after every restart.
 */
import {
  BATCH_BYTES_MAX,
  partitionFor,
  type Append,
  type Compression,
  type Encodes,
  type RecordHeaders,
} from '#log'
import { ByteWriter } from '#system'
import { topicNameOnLog, TopologyError, type RecordCollector, type Serde } from '#topology'
import { OutputPartition } from './output-partition.ts'
import type { TaskIdentity } from './task-contract.ts'
import { TaskError } from './task-error.ts'
import { DEFAULT_BATCH_LIMITS, type BatchLimits, type PartitionCounts } from './task-options.ts'
import { timeHeaders } from './time-record.ts'

export const plainBytes: Encodes<Uint8Array> = { write: (bytes, target) => target.bytes(bytes) }

/** Keys come again and again: looking one up costs a fifth of encoding and hashing it. */
const KNOWN_KEYS_MAX = 10_000

interface OutputTopic {
  readonly partitions: readonly OutputPartition[]
  /** Where string keys went: a topic has one key serde. */
  readonly partitionOfKey: Map<string, number>
}

export class TaskCollector implements RecordCollector {
  readonly #identity: TaskIdentity
  readonly #partitionCounts: PartitionCounts
  readonly #batchLimits: BatchLimits
  readonly #compression: Compression
  /** By the topic's name in the topology and on the log alike. */
  readonly #topics: Map<string, OutputTopic> = new Map()
  readonly #outputs: OutputPartition[] = []
  /** Partitions written since the savepoint. */
  readonly #touched: OutputPartition[] = []
  readonly #key: ByteWriter = new ByteWriter(256)
  #savepoint: number = 0
  /** The last to be written to: most records go where the one before went. */
  #lastTopic: string = ''
  #last: OutputTopic | undefined

  constructor(
    identity: TaskIdentity,
    partitionCounts: PartitionCounts,
    batchLimits: BatchLimits = DEFAULT_BATCH_LIMITS,
    compression: Compression = 'none',
  ) {
    this.#identity = identity
    this.#partitionCounts = partitionCounts
    this.#batchLimits = batchLimits
    this.#compression = compression
  }

  collect<K, V>(
    topic: string,
    partition: number | undefined,
    key: K | null,
    keySerde: Serde<K>,
    value: V | null,
    valueSerde: Serde<V>,
    timestampMs: number,
    headers: RecordHeaders,
    partitionKey: ((key: K) => Uint8Array) | undefined,
  ): void {
    const output = this.#outputTopic(topic)
    let chosen = partition
    if (chosen === undefined) {
      const isAlone = output.partitions.length === 1
      chosen = isAlone ? 0 : this.#partitionOf(output, key, keySerde, partitionKey)
    }
    const target = this.#touch(output, chosen)
    target.add(timestampMs, key, keySerde, value, valueSerde, headers)
  }

  announceTime(topic: string, node: string, timeMs: number, idle: boolean): void {
    const { subTopology, partition } = this.#identity
    const { number } = subTopology
    const headers = timeHeaders({ subTopology: number, partition, node, timeMs, idle })
    const output = this.#outputTopic(topic)
    for (let n = 0; n < output.partitions.length; n++) {
      this.#touch(output, n).add(timeMs, null, plainBytes, null, plainBytes, headers)
    }
  }

  /** A record of bytes, to the task's own partition modulo the topic's count. */
  add(
    topic: string,
    timestampMs: number,
    key: Uint8Array | null,
    value: Uint8Array | null,
    headers: RecordHeaders,
  ): void {
    const output = this.#outputTopic(topic)
    const own = this.#touch(output, this.#identity.partition % output.partitions.length)
    own.add(timestampMs, key, plainBytes, value, plainBytes, headers)
  }

  /** The largest batch that a topic takes, by its name on the log. */
  batchBytesMax(topic: string): number {
    return this.#batchLimits.get(topic) ?? BATCH_BYTES_MAX
  }

  /** Bytes waiting for the next commit. */
  get bytes(): number {
    let bytes = 0
    for (const output of this.#outputs) bytes += output.bytes
    return bytes
  }

  savepoint(): void {
    this.#savepoint += 1
    this.#touched.length = 0
  }

  rollback(): void {
    for (const output of this.#touched) output.rollback()
    this.savepoint()
  }

  /** Appends everything to `target`, partition by partition in the order in which they were first written to. */
  seal(target: Append[]): void {
    for (const output of this.#outputs) output.seal(target)
    this.#touched.length = 0
  }

  #touch({ partitions }: OutputTopic, partition: number): OutputPartition {
    const output = partitions[partition] ?? noPartition(partitions, partition)
    if (output.savepoint !== this.#savepoint) {
      output.mark(this.#savepoint)
      this.#touched.push(output)
    }
    return output
  }

  #partitionOf<K>(
    { partitions, partitionOfKey }: OutputTopic,
    key: K | null,
    keySerde: Serde<K>,
    partitionKey: ((key: K) => Uint8Array) | undefined,
  ): number {
    const count = partitions.length
    if (key === null) return this.#identity.partition % count
    if (partitionKey !== undefined) return partitionFor(partitionKey(key), count)
    if (typeof key !== 'string') return this.#partitionOfBytes(key, keySerde, count)
    const known = partitionOfKey.get(key)
    if (known !== undefined) return known
    const partition = this.#partitionOfBytes(key, keySerde, count)
    if (partitionOfKey.size >= KNOWN_KEYS_MAX) partitionOfKey.clear()
    partitionOfKey.set(key, partition)
    return partition
  }

  #partitionOfBytes<K>(key: K, keySerde: Serde<K>, count: number): number {
    const writer = this.#key
    writer.length = 0
    keySerde.write(key, writer)
    return partitionFor(writer.buffer.subarray(0, writer.length), count)
  }

  #outputTopic(topic: string): OutputTopic {
    const last = this.#last
    if (last !== undefined && topic === this.#lastTopic) return last
    const output = this.#topics.get(topic) ?? this.#openTopic(topic)
    this.#lastTopic = topic
    this.#last = output
    return output
  }

  #openTopic(topic: string): OutputTopic {
    const { topology, taskId } = this.#identity
    const name = topicNameOnLog(topology, topic)
    const count = this.#partitionCounts.get(name)
    if (count === undefined) {
      const message = `task ${taskId} writes to ${name}, which does not exist on the log: create it`
      throw new TaskError('TOPIC_MISSING', message, { taskId })
    }
    const partitions = Array.from(
      { length: count },
      (_, n) => new OutputPartition(name, n, this.batchBytesMax(name), this.#compression),
    )
    const output = { partitions, partitionOfKey: new Map<string, number>() }
    this.#topics.set(topic, output)
    this.#outputs.push(...partitions)
    return output
  }
}

function noPartition(partitions: readonly OutputPartition[], partition: number): never {
  const message = `partition ${partition} of ${partitions[0]?.topic} was chosen for a record`
  throw new TopologyError('OPTION_INVALID', `${message}; it has ${partitions.length}`)
}
