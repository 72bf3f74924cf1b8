/**
 * Appends outside of transactions: idempotent, in call order in each partition, joined into one request a broker.
 *
 * A partition has one batch on its way at most, a broker one request. What is appended meanwhile goes with the next one, so a
 * busy sender makes large requests and an idle one waits for nothing.
 *
 * A batch that may have been written is sent again as it was, under the same sequence: the broker knows it by that. When an
 * append is given up, its sequence may or may not be taken, and a copy of it may still be on its way. The partition then goes on
 * in the next epoch, in which the broker refuses what is older.
 *
 * Invariant: an acknowledged append is in the log whole and once, behind everything acknowledged that was appended before it.
 */
import { delay, jitteredBackoffMs } from '#system'

import { type Append, type Appended, LogError, partitionKey } from '../log.ts'
import type { Cluster } from './cluster.ts'
import { CODE, isOversized, isRetriable, isStaleLeader, kafkaError, NO_ERROR } from './errors.ts'
import { givenUp, refusal } from './append-errors.ts'
import { type Pending, SenderPartition } from './sender-partition.ts'
import { type ProduceAnswer, produceV11 } from './produce-codec.ts'
import { askForIdentity } from './producer-identity.ts'
import type { ProducerIdentity } from './transaction-codec.ts'

const APPEND_TIMEOUT_MS = 30_000
/** The broker waits for its replicas for so long, and then says so: better than silence. */
const REPLICAS_TIMEOUT_MS = 8_000
const CALL_TIMEOUT_MS = 10_000
const REQUEST_BYTES = 4_194_304
const BUFFER_BYTES_MAX = 67_108_864
const BACKOFF = { baseMs: 10, maxMs: 1_000 }

/** Codes that say that the broker has lost count, and that this batch is not in its log. */
const SEQUENCE_LOST: ReadonlySet<number> = new Set([
  CODE.outOfOrderSequenceNumber,
  CODE.invalidProducerEpoch,
  CODE.unknownProducerId,
])
/** Codes of a batch that the leader has, and that too few replicas are known to have. */
const MAYBE_WRITTEN: ReadonlySet<number> = new Set([
  CODE.requestTimedOut,
  CODE.notEnoughReplicasAfterAppend,
])

interface Broker {
  readonly nodeId: number
  readonly ready: Set<SenderPartition>
  isBusy: boolean
}

export interface SenderOptions {
  /** How long an append may take before it is given up. */
  readonly appendTimeoutMs?: number
  /** Appends beyond these bytes wait until earlier ones are acknowledged. */
  readonly bufferBytesMax?: number
  /** The lane of its connections; everybody's unless given. */
  readonly lane?: string
  /** Where the sequences of a partition start: the broker takes any from a producer that it does not know. */
  readonly firstSequence?: number
}

export class Sender {
  readonly #cluster: Cluster
  readonly #options: Required<SenderOptions>
  readonly #partitions: Map<string, SenderPartition> = new Map()
  readonly #brokers: Map<number, Broker> = new Map()
  readonly #unsettled: Set<Promise<Appended>> = new Set()
  /** Appends that wait for room, in order. */
  readonly #outside: Pending[] = []
  #insideBytes: number = 0
  #identity: Promise<ProducerIdentity> | undefined

  constructor(cluster: Cluster, options: SenderOptions = {}) {
    this.#cluster = cluster
    this.#options = {
      appendTimeoutMs: options.appendTimeoutMs ?? APPEND_TIMEOUT_MS,
      bufferBytesMax: options.bufferBytesMax ?? BUFFER_BYTES_MAX,
      lane: options.lane ?? '',
      firstSequence: options.firstSequence ?? 0,
    }
  }

  append(append: Append): Promise<Appended> {
    const startedMs = this.#cluster.clock.elapsedMs()
    const deadlineMs = startedMs + this.#options.appendTimeoutMs
    const { promise, resolve, reject } = Promise.withResolvers<Appended>()
    const pending = { append, startedMs, deadlineMs, resolve, reject }
    if (this.#outside.length > 0 || !this.#hasRoom(append)) this.#outside.push(pending)
    else this.#admit(pending)
    this.#unsettled.add(promise)
    const forget = (): void => void this.#unsettled.delete(promise)
    promise.then(forget, forget)
    return promise
  }

  async flush(): Promise<void> {
    await Promise.all(this.#unsettled)
  }

  /** Resolves when everything appended before is acknowledged or given up. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#unsettled)
  }

  #hasRoom({ bytes }: Append): boolean {
    const { bufferBytesMax } = this.#options
    return this.#insideBytes === 0 || this.#insideBytes + bytes.length <= bufferBytesMax
  }

  #admit(pending: Pending): void {
    const partition = this.#partition(pending.append)
    try {
      partition.appends.push(pending)
    } catch (error) {
      pending.reject(error)
      return
    }
    this.#insideBytes += pending.append.bytes.length
    if (partition.isBusy) return
    partition.isBusy = true
    void this.#seekLeader(partition)
  }

  /** What has ended makes room for what waits outside. */
  #leave({ append }: Pending): void {
    this.#insideBytes -= append.bytes.length
    for (let next = this.#outside[0]; next && this.#hasRoom(next.append);) {
      this.#outside.shift()
      this.#admit(next)
      next = this.#outside[0]
    }
  }

  #partition({ topic, partition }: Append): SenderPartition {
    const key = partitionKey({ topic, partition })
    const known = this.#partitions.get(key)
    if (known !== undefined) return known
    const made = new SenderPartition({ topic, partition }, this.#options.firstSequence)
    this.#partitions.set(key, made)
    return made
  }

  /** Brings a partition with something to send to the broker that takes it. Never rejects. */
  async #seekLeader(partition: SenderPartition): Promise<void> {
    try {
      if (!partition.isKnown) partition.introduce(await this.#whoWrites(partition.deadlineMs))
      const { nodeId } = await this.#cluster.leader(partition.place)
      const broker = this.#broker(nodeId)
      broker.ready.add(partition)
      if (!broker.isBusy) void this.#send(broker)
    } catch (error) {
      if (!isFinal(error)) return this.#retry(partition, error)
      while (!partition.appends.isEmpty) this.#giveUp(partition, error, true)
      partition.isBusy = false
    }
  }

  async #whoWrites(deadlineMs: number): Promise<ProducerIdentity> {
    this.#identity ??= askForIdentity(this.#cluster, deadlineMs, this.#options.lane)
    try {
      return await this.#identity
    } catch (error) {
      this.#identity = undefined
      throw error
    }
  }

  #broker(nodeId: number): Broker {
    const known = this.#brokers.get(nodeId)
    if (known !== undefined) return known
    const made = { nodeId, ready: new Set<SenderPartition>(), isBusy: false }
    this.#brokers.set(nodeId, made)
    return made
  }

  /** Requests to one broker, one after the other, while there is something for it. */
  async #send(broker: Broker): Promise<void> {
    broker.isBusy = true
    while (broker.ready.size > 0) await this.#exchange(broker)
    broker.isBusy = false
  }

  async #exchange(broker: Broker): Promise<void> {
    const chosen: SenderPartition[] = []
    const batches = []
    let sizeBytes = 0
    for (const partition of broker.ready) {
      if (!this.#isReady(partition)) {
        broker.ready.delete(partition)
        this.#goOn(partition)
        continue
      }
      const { bytes } = partition.take()
      if (chosen.length > 0 && sizeBytes + bytes.length > REQUEST_BYTES) break
      sizeBytes += bytes.length
      broker.ready.delete(partition)
      chosen.push(partition)
      batches.push({ ...partition.place, batch: bytes })
    }
    if (chosen.length === 0) return
    const { clock } = this.#cluster
    const startedMs = clock.elapsedMs()
    const deadlineMs = Math.min(...chosen.map((partition) => partition.deadlineMs))
    const timeoutMs = Math.max(1, Math.min(deadlineMs - startedMs, CALL_TIMEOUT_MS))
    const request = { transactionalId: null, timeoutMs: REPLICAS_TIMEOUT_MS, batches }
    try {
      const answers = await this.#cluster.call(
        broker.nodeId,
        'produce',
        timeoutMs,
        (connection) => {
          for (const partition of chosen) partition.sending()
          return produceV11.async(connection, request)
        },
        this.#options.lane,
      )
      const byPlace = new Map(answers.map((answer) => [partitionKey(answer), answer]))
      for (const partition of chosen) this.#answered(partition, byPlace.get(partition.key))
    } catch (error) {
      // A broker that keeps silent may be frozen, and somebody else lead by now. One connection that failed says nothing of
      // that; the next one does.
      const isSilent = clock.elapsedMs() - startedMs >= timeoutMs
      for (const partition of chosen) {
        partition.isLeaderStale = isSilent || partition.attempts > 0
        void this.#retry(partition, error)
      }
    }
  }

  #answered(partition: SenderPartition, answer: ProduceAnswer | undefined): void {
    if (answer?.code === NO_ERROR) {
      for (const { entry, appended } of partition.written(answer.baseOffset)) {
        entry.resolve(appended)
        this.#leave(entry)
      }
      this.#goOn(partition)
      return
    }
    if (answer === undefined) {
      const message = `${partition.key}: the broker did not answer for it`
      void this.#retry(partition, new LogError('LOG_UNAVAILABLE', message, { retriable: true }))
      return
    }
    const { code, leader, detail } = answer
    const error = kafkaError(code, `appending to ${partition.key}`, { at: partition.place, detail })
    if (SEQUENCE_LOST.has(code)) {
      this.#nextEpoch(partition)
      void this.#retry(partition, error)
      return
    }
    if (!MAYBE_WRITTEN.has(code)) partition.notWritten()
    if (leader !== undefined) {
      this.#cluster.leaderHint(partition.place, leader)
      void this.#retry(partition, error)
    } else if (isRetriable(code)) {
      partition.isLeaderStale = isStaleLeader(code)
      void this.#retry(partition, error)
    } else {
      this.#refused(partition, error, isOversized(code))
    }
  }

  /** The broker takes the batch neither now nor later. */
  #refused(partition: SenderPartition, error: LogError, isTooLarge: boolean): void {
    const { writtenOfFirst } = partition.appends
    if (partition.wasMaybeWritten) {
      // Taken apart it could be written twice.
      this.#giveUp(partition, error, true)
    } else {
      const entry = partition.appends.refused(isTooLarge)
      if (entry !== undefined) {
        entry.reject(refusal(entry.append, error, { isTooLarge, writtenOfFirst }))
        this.#leave(entry)
      }
    }
    this.#goOn(partition)
  }

  /** Nothing came of the last attempt: what has no more time is given up, the rest is tried again. */
  async #retry(partition: SenderPartition, error: unknown): Promise<void> {
    const { clock, random } = this.#cluster
    partition.lastError = error
    const backoffMs = jitteredBackoffMs(random, partition.attempts, BACKOFF)
    partition.attempts += 1
    if (partition.isLeaderStale) await this.#refresh(partition)
    const leftMs = partition.deadlineMs - clock.elapsedMs()
    await delay(clock, Math.max(0, Math.min(backoffMs, leftMs)))
    this.#giveUpLate(partition)
    this.#goOn(partition)
  }

  async #refresh(partition: SenderPartition): Promise<void> {
    partition.isLeaderStale = false
    const { clock } = this.#cluster
    const ended = new AbortController()
    try {
      const refreshed = this.#cluster.refresh([partition.place.topic])
      const leftMs = Math.max(0, partition.deadlineMs - clock.elapsedMs())
      await Promise.race([refreshed, delay(clock, leftMs, ended.signal)])
    } catch (error) {
      // It is asked again with the next attempt; until then this is what stands in the way.
      partition.lastError = error
    } finally {
      ended.abort()
    }
  }

  /** False if, while it waited for its turn, its time was up or its last epoch was left. */
  #isReady(partition: SenderPartition): boolean {
    this.#giveUpLate(partition)
    return !partition.appends.isEmpty && partition.isKnown
  }

  #giveUpLate(partition: SenderPartition): void {
    const nowMs = this.#cluster.clock.elapsedMs()
    while (partition.deadlineMs <= nowMs) this.#giveUp(partition, partition.lastError, false)
  }

  /** Gives up what was on its way, or the oldest that waits. */
  #giveUp(partition: SenderPartition, error: unknown, isFinal: boolean): void {
    const { maybeWritten } = partition
    const { writtenOfFirst } = partition.appends
    for (const [at, entry] of partition.appends.drop().entries()) {
      const written = at === 0 ? writtenOfFirst : 0
      entry.reject(givenUp(entry, error, { isFinal, maybeWritten, written }))
      this.#leave(entry)
    }
    if (maybeWritten) this.#nextEpoch(partition)
  }

  #nextEpoch(partition: SenderPartition): void {
    partition.nextEpoch()
    if (!partition.isKnown) this.#identity = undefined
  }

  #goOn(partition: SenderPartition): void {
    if (partition.appends.isEmpty) partition.isBusy = false
    else void this.#seekLeader(partition)
  }
}

/** What no later attempt will mend. A leader that the cluster does not know is looked for anew before it says so. */
function isFinal(error: unknown): boolean {
  return !(error instanceof LogError) || !error.retriable || error.code === 'TOPIC_UNKNOWN'
}
