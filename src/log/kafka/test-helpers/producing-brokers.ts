/**
 * Brokers that take batches as Apache Kafka's do (sequences, epochs, the last five batches remembered), on a network that loses,
 * delays and repeats, with leaders that move and coordinators' replicas that are slow.
 *
 * Invariant: what a batch was answered is what became of it, unless the answer was lost.
 */
import { type Connection, Reader } from '@platformatic/kafka'
import type { Clock, Random } from '#system'

import { recordsOf, valuesOf } from '../../log.contract/records.ts'
import { LogError, partitionKey, type TopicPartition } from '../../log.ts'
import { readBatchHeader } from '../../record-batch.ts'
import type { PartitionLeader, Purpose } from '../cluster.ts'
import { CODE, NO_ERROR } from '../errors.ts'
import type { ProduceAnswer } from '../produce-codec.ts'
import { NO_PRODUCER } from '../transaction-codec.ts'
import { API } from './faulty-cluster.ts'
import { answerTo, connectionOf, StubCluster } from './stub-cluster.ts'

interface Producer {
  epoch: number
  next: number
  readonly recent: { readonly sequence: number; readonly count: number; readonly offset: number }[]
}

interface Partition {
  leader: number
  readonly values: string[]
  readonly producers: Map<number, Producer>
}

interface Batch extends TopicPartition {
  readonly bytes: Buffer
}

const NODES = 3
const RECENT = 5

/** Time passes as fast as timers are set. */
class HastyClock implements Clock {
  #elapsedMs: number = 0
  nowMs(): number {
    return this.#elapsedMs
  }
  elapsedMs(): number {
    return this.#elapsedMs
  }
  after(delayMs: number, fire: () => void): () => void {
    const dueMs = this.#elapsedMs + delayMs
    let cancelled = false
    setImmediate(() => {
      if (cancelled) return
      this.#elapsedMs = Math.max(this.#elapsedMs, dueMs)
      fire()
    })
    return () => (cancelled = true)
  }
  turn(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve))
  }
}

export class ProducingBrokers extends StubCluster {
  readonly clock: Clock = new HastyClock()
  readonly random: Random
  readonly fired: Map<string, number> = new Map()
  /** How likely each thing is to go wrong with one request. */
  readonly #badness: number
  readonly #partitions: Map<string, Partition> = new Map()
  readonly #known: Map<string, number> = new Map()
  #late: (() => void)[] = []
  #producerIds: number = 100

  constructor(random: () => number, badness: number) {
    super()
    this.random = { next: random, uuid: () => '' }
    this.#badness = badness
  }

  values(place: TopicPartition): readonly string[] {
    return this.#at(place).values
  }

  /** What is still on its way arrives. */
  settle(): void {
    for (const deliver of this.#late.splice(0)) deliver()
  }

  override async leader(place: TopicPartition): Promise<PartitionLeader> {
    const nodeId = this.#known.get(partitionKey(place)) ?? this.#at(place).leader
    this.#known.set(partitionKey(place), nodeId)
    return { nodeId, leaderEpoch: 0, topicId: '' }
  }
  override leaderHint(place: TopicPartition, { nodeId }: { readonly nodeId: number }): void {
    this.#known.set(partitionKey(place), nodeId)
  }
  override async refresh(): Promise<void> {
    this.#known.clear()
  }
  override async retrying<T>(_deadlineMs: number, attempt: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await attempt()
      } catch (error) {
        if (!(error instanceof LogError && error.retriable)) throw error
      }
    }
  }

  override call<T>(
    nodeId: number,
    _purpose: Purpose,
    timeoutMs: number,
    exchange: (connection: Connection) => Promise<T>,
  ): Promise<T> {
    const send: Connection['send'] = (api, _version, payload, _parse, _q, _r, done) => {
      const answer = answerTo(done)
      const { buffer } = payload() as { readonly buffer: Buffer }
      const lose = (): void =>
        done(new LogError('LOG_UNAVAILABLE', 'the connection failed', { retriable: true }))
      if (api === API.initProducerId) {
        if (this.#happens('init'))
          return answer(null, { code: CODE.coordinatorLoadInProgress, ...NO_PRODUCER })
        this.#producerIds += 1
        return answer(null, { code: NO_ERROR, producerId: this.#producerIds, epoch: 0 })
      }
      // The library copies what it sends, and so must what is kept here.
      const batches = batchesOf(Buffer.from(buffer))
      setImmediate(() => {
        if (this.random.next() < 0.3) this.#late.shift()?.()
        if (this.#happens('request')) return lose()
        if (this.#happens('late')) {
          this.#late.push(() => void this.#produce(nodeId, batches))
          return void this.clock.after(timeoutMs, lose)
        }
        const answers = this.#produce(nodeId, batches)
        if (this.#happens('reply')) return lose()
        answer(null, answers)
      })
    }
    return exchange(connectionOf(send))
  }

  #happens(what: string): boolean {
    if (this.random.next() >= this.#badness) return false
    this.fired.set(what, (this.fired.get(what) ?? 0) + 1)
    return true
  }

  #at(place: TopicPartition): Partition {
    const key = partitionKey(place)
    const made = this.#partitions.get(key) ?? { leader: 0, values: [], producers: new Map() }
    this.#partitions.set(key, made)
    return made
  }

  #produce(nodeId: number, batches: readonly Batch[]): readonly ProduceAnswer[] {
    return batches.map((batch) => {
      const partition = this.#at(batch)
      const answer = (code: number, baseOffset: number = -1): ProduceAnswer => ({
        topic: batch.topic,
        partition: batch.partition,
        code,
        baseOffset,
        detail: null,
        leader: undefined,
      })
      if (this.#happens('leader')) partition.leader = Math.floor(this.random.next() * NODES)
      if (partition.leader !== nodeId) {
        const leader = { nodeId: partition.leader, leaderEpoch: 1 }
        return {
          ...answer(CODE.notLeaderOrFollower),
          leader: this.random.next() < 0.5 ? leader : undefined,
        }
      }
      if (this.#happens('replicas')) return answer(CODE.notEnoughReplicas)
      // As after an election that has lost what the producer wrote last, but for the records.
      if (this.#happens('state')) partition.producers.forEach((producer) => (producer.next += 1))
      const [code, offset] = append(partition, batch.bytes)
      if (code !== NO_ERROR || !this.#happens('slow replicas')) return answer(code, offset)
      return answer(CODE.notEnoughReplicasAfterAppend)
    })
  }
}

/** A broker's checks of a batch, and its append. */
function append(partition: Partition, bytes: Buffer): readonly [code: number, offset: number] {
  const { producerId, producerEpoch, baseSequence, recordCount } = readBatchHeader(bytes)
  const known = partition.producers.get(producerId)
  if (known !== undefined && producerEpoch < known.epoch) return [CODE.invalidProducerEpoch, -1]
  if (known !== undefined && producerEpoch === known.epoch) {
    const same = known.recent.find(
      ({ sequence, count }) => sequence === baseSequence && count === recordCount,
    )
    if (same !== undefined) return [NO_ERROR, same.offset]
    if (baseSequence !== known.next) return [CODE.outOfOrderSequenceNumber, -1]
  } else if (known !== undefined && baseSequence !== 0) {
    return [CODE.outOfOrderSequenceNumber, -1]
  }
  const offset = partition.values.length
  const place = { topic: '', partition: 0, bytes, baseOffset: 0, nextOffset: 0 }
  partition.values.push(...valuesOf(recordsOf([place])).map((value) => value ?? ''))
  const recent = known?.epoch === producerEpoch ? known.recent : []
  recent.push({ sequence: baseSequence, count: recordCount, offset })
  partition.producers.set(producerId, {
    epoch: producerEpoch,
    next: (baseSequence + recordCount) % 2 ** 31,
    recent: recent.slice(-RECENT),
  })
  return [NO_ERROR, offset]
}

function batchesOf(request: Buffer): readonly Batch[] {
  const reader = Reader.from(request)
  reader.readNullableString()
  reader.skip(6)
  const batches: Batch[] = []
  reader.readArray(() => {
    const topic = reader.readString()
    reader.readArray(() => {
      const partition = reader.readInt32()
      batches.push({ topic, partition, bytes: Buffer.from(reader.readBytes()) })
    })
  })
  return batches
}
