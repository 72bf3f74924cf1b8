/**
 * Asks brokers for what a reader's partitions want: one request in flight a broker, without a session.
 *
 * A partition is asked for when its leader is known and little of it is buffered; a paused one is left out and keeps what it has.
 * The leader epoch goes with each request, so that a broker which leads no more says so, even if as a follower it could answer.
 * What fails is looked up and tried again, one partition or one broker at a time, and the others go on.
 *
 * Invariant: what is buffered and what is on its way are together at most BUFFER_BYTES_MAX (NODE_BYTES_MIN a broker where there
 * are many), and one batch a request; and no broker waits for another's.
 */
import { type CancelTimer, jitteredBackoffMs } from '#system'

import { type Isolation, LogError } from '../log.ts'
import type { Cluster } from './cluster.ts'
import { CODE, isRetriable, isStaleLeader, kafkaError, NO_ERROR } from './errors.ts'
import {
  type AnsweredPartition,
  fetch,
  type FetchRequest,
  type FetchResponse,
  fetchVersionOf,
  type WantedPartition,
} from './fetch-codec.ts'
import type { FetchPartition } from './fetch-partition.ts'

const PARTITION_BYTES_MAX = 1 << 20
const RESPONSE_BYTES_MAX = 8 << 20
/** Shared equally by the brokers, each of which has NODE_BYTES_MIN at least. */
export const BUFFER_BYTES_MAX: number = 16 << 20
const NODE_BYTES_MIN = 2 * PARTITION_BYTES_MAX
/** A partition with less than this in its buffer is asked for. */
const PREFETCH_BELOW_BYTES = PARTITION_BYTES_MAX / 2
/** How long a broker may wait for something to give: as long as the caller does, within these. */
const WAIT_MAX_MS = 250
const WAIT_MIN_MS = 20
/** At most, while a partition that has more is left out: it may be wanted again at any time. */
const SHORT_WAIT_MS = 50
/** Of one request, from connecting to its last byte. */
const REQUEST_TIMEOUT_MS = 30_000
/** Followers answer too, and a leader that is frozen says nothing: leaders are looked up again this often. */
const REFRESH_MS = 5_000
/** A broker that lags behind may not know a topic yet, or know it no more. */
const UNKNOWN_GRACE_MS = 1_000
const RETRY = { baseMs: 20, maxMs: 500 }

/** A request under way, and whose answers it will bring. */
interface Asked {
  readonly nodeId: number
  readonly partitions: ReadonlyMap<string, { readonly of: FetchPartition; readonly offset: number }>
}

export interface BrokerFetchesOptions {
  readonly cluster: Cluster
  readonly isolation: Isolation
  readonly partitions: () => Iterable<FetchPartition>
  /** Something may be there to be taken or told. */
  readonly onChange: () => void
  /** How long the caller is ready to wait for anything; infinite when nobody asks. */
  readonly waitMs: () => number
  /** The cluster is closed. */
  readonly onClosed: () => void
  /** Smaller, for tests. */
  readonly partitionBytesMax?: number
}

export class BrokerFetches {
  readonly #options: BrokerFetchesOptions
  readonly #cluster: Cluster
  readonly #lane: string
  readonly #asked: Map<number, Asked> = new Map()
  readonly #versions: Map<number, number> = new Map()
  readonly #timers: Set<CancelTimer> = new Set()
  #isRefreshing: boolean = false
  #isPumpingSoon: boolean = false
  #isClosed: boolean = false
  /** Counts answers: who was served longest ago comes first, since a broker fills an answer in the order of the request. */
  #served: number = 0

  constructor(options: BrokerFetchesOptions) {
    this.#options = options
    this.#cluster = options.cluster
    this.#lane = options.cluster.openLane()
  }

  /** Sends what can be sent now. */
  pump(): void {
    if (this.#isClosed) return
    const byNode = new Map<number, FetchPartition[]>()
    for (const each of this.#options.partitions()) {
      if (!isWanted(each) || each.isResting) continue
      if (each.leader === undefined) {
        if (!each.isLocating) void this.#locate(each)
        continue
      }
      const { nodeId } = each.leader
      if (this.#asked.has(nodeId)) continue
      const same = byNode.get(nodeId)
      if (same === undefined) byNode.set(nodeId, [each])
      else same.push(each)
    }
    for (const [nodeId, wanted] of byNode) this.#ask(nodeId, wanted)
  }

  /** Begins to look leaders up regularly. */
  startRefreshing(): void {
    if (this.#isRefreshing || this.#isClosed) return
    this.#isRefreshing = true
    this.#later(REFRESH_MS, () => void this.#refresh())
  }

  close(): void {
    this.#isClosed = true
    for (const cancel of this.#timers) cancel()
    this.#timers.clear()
    this.#cluster.closeLane(this.#lane)
  }

  // ------------------------------------------------------------ requests

  #ask(nodeId: number, wanted: FetchPartition[]): void {
    const bytesMax = Math.min(RESPONSE_BYTES_MAX, this.#room(nodeId))
    const { isolation, partitionBytesMax = PARTITION_BYTES_MAX } = this.#options
    if (bytesMax < PARTITION_BYTES_MAX) return
    wanted.sort((a, b) => a.servedAt - b.servedAt)
    const asked: Asked = {
      nodeId,
      partitions: new Map(
        wanted.map((of) => [answerKey(of.leader?.topicId, of), { of, offset: of.fetchOffset }]),
      ),
    }
    const request: FetchRequest = {
      waitMs: this.#waitMs(asked),
      bytesMax,
      isolation,
      partitions: wanted.flatMap((each) => wantedOf(each, partitionBytesMax)),
    }
    this.#asked.set(nodeId, asked)
    this.#send(nodeId, request)
      .then(
        (response) => this.#receive(asked, response),
        (error: unknown) => this.#fail(asked, error),
      )
      .finally(() => {
        this.#asked.delete(nodeId)
        if (this.#isClosed) return
        this.#options.onChange()
        this.pump()
      })
  }

  #send(nodeId: number, request: FetchRequest): Promise<FetchResponse> {
    return this.#cluster.call(
      nodeId,
      'fetch',
      REQUEST_TIMEOUT_MS,
      async (connection) => {
        let version = this.#versions.get(nodeId)
        if (version === undefined) {
          version = await fetchVersionOf(connection)
          this.#versions.set(nodeId, version)
        }
        return await fetch(connection, version, request)
      },
      this.#lane,
    )
  }

  /** Bytes that a broker may be asked for: its share, without what its partitions hold. Paused ones give way to others. */
  #room(nodeId: number): number {
    const nodes = new Set<number>()
    const own: FetchPartition[] = []
    for (const each of this.#options.partitions()) {
      if (each.leader === undefined) continue
      nodes.add(each.leader.nodeId)
      if (each.leader.nodeId === nodeId) own.push(each)
    }
    let room = Math.max(NODE_BYTES_MIN, Math.floor(BUFFER_BYTES_MAX / nodes.size))
    for (const { bufferedBytes } of own) room -= bufferedBytes
    if (room >= PARTITION_BYTES_MAX) return room
    for (const each of own) {
      if (!each.isPaused) continue
      room += each.bufferedBytes
      each.drop()
    }
    return room
  }

  #waitMs(asked: Asked): number {
    const mostMs = this.#leavesOutMore(asked) ? SHORT_WAIT_MS : WAIT_MAX_MS
    return Math.ceil(Math.max(WAIT_MIN_MS, Math.min(mostMs, this.#options.waitMs())))
  }

  #leavesOutMore({ nodeId, partitions }: Asked): boolean {
    for (const each of this.#options.partitions()) {
      if (each.leader?.nodeId !== nodeId || each.isStopped || each.error !== undefined) continue
      if (each.isBehind && !partitions.has(answerKey(each.leader.topicId, each))) return true
    }
    return false
  }

  // ------------------------------------------------------------ answers

  #receive(asked: Asked, { errorCode, partitions }: FetchResponse): void {
    if (errorCode !== NO_ERROR) {
      return this.#fail(asked, kafkaError(errorCode, `fetching from broker ${asked.nodeId}`))
    }
    const nowMs = this.#cluster.clock.elapsedMs()
    for (const answer of partitions) {
      const known = asked.partitions.get(answerKey(answer.topicId, answer))
      // Meanwhile it may have been let go, or moved to another position or another leader.
      if (known === undefined || known.of.fetchOffset !== known.offset) continue
      const { of } = known
      if (of.leader?.nodeId !== asked.nodeId || of.error !== undefined) continue
      if (answer.errorCode !== NO_ERROR) {
        this.#refuse(of, answer)
        continue
      }
      of.receive(answer, nowMs)
      if (answer.records.length > 0) of.servedAt = this.#served += 1
    }
  }

  /** One partition's error is that partition's alone. */
  #refuse(partition: FetchPartition, { errorCode, leader }: AnsweredPartition): void {
    const at = { topic: partition.topic, partition: partition.partition }
    if (isStaleLeader(errorCode)) {
      if (leader !== undefined) this.#cluster.leaderHint(at, leader)
      // A hint that did not help once is not relied on again.
      this.#lookUpLater(partition, leader === undefined || partition.failures > 0)
      return
    }
    const { fetchOffset: offset } = partition
    const where = `reading ${at.topic}-${at.partition} at offset ${offset}`
    const error = kafkaError(errorCode, where, { at: { ...at, offset } })
    if (isRetriable(errorCode) && errorCode !== CODE.corruptMessage) {
      this.#lookUpLater(partition, true)
    } else {
      partition.error = error
    }
  }

  /** A broker that could not be asked: its partitions may have moved. */
  #fail({ nodeId, partitions }: Asked, error: unknown): void {
    this.#versions.delete(nodeId)
    for (const { of } of partitions.values()) {
      if (of.leader?.nodeId === nodeId) this.#failPartition(of, error)
    }
  }

  #failPartition(partition: FetchPartition, error: unknown): void {
    if (this.#isClosed) return
    if (error instanceof LogError && error.code === 'LOG_CLOSED') return this.#options.onClosed()
    if (error instanceof LogError && error.retriable) return this.#lookUpLater(partition, true)
    partition.error = error
  }

  // ------------------------------------------------------------ leaders

  #lookUpLater(partition: FetchPartition, refresh: boolean): void {
    const waitMs = jitteredBackoffMs(this.#cluster.random, partition.failures, RETRY)
    partition.leader = undefined
    partition.failures += 1
    partition.mustRefresh ||= refresh
    partition.isResting = true
    this.#later(waitMs, () => {
      partition.isResting = false
      this.pump()
    })
  }

  async #locate(partition: FetchPartition): Promise<void> {
    partition.isLocating = true
    try {
      if (partition.mustRefresh) await this.#cluster.refresh([partition.topic])
      partition.mustRefresh = false
      this.#settle(partition, await this.#cluster.leader(partition))
    } catch (error) {
      this.#notFound(partition, error)
    } finally {
      partition.isLocating = false
    }
    this.#options.onChange()
    void this.#pumpSoon()
  }

  /** Once for all that have been found meanwhile, so that one request asks for them. */
  async #pumpSoon(): Promise<void> {
    if (this.#isPumpingSoon) return
    this.#isPumpingSoon = true
    await this.#cluster.clock.turn()
    this.#isPumpingSoon = false
    this.pump()
  }

  #settle(partition: FetchPartition, leader: FetchPartition['leader']): void {
    if (leader === undefined) return
    const { topicId } = leader
    if (partition.topicId !== undefined && partition.topicId !== topicId) {
      const { topic, partition: number } = partition
      const message = `${topic} was deleted, and another topic was created under its name`
      partition.error = new LogError('TOPIC_UNKNOWN', message, { at: { topic, partition: number } })
      return
    }
    partition.topicId = topicId
    partition.leader = leader
  }

  #notFound(partition: FetchPartition, error: unknown): void {
    const isUnknown = error instanceof LogError && error.code === 'TOPIC_UNKNOWN'
    const sinceMs = this.#cluster.clock.elapsedMs() - partition.foundAtMs
    if (isUnknown && sinceMs < UNKNOWN_GRACE_MS) return this.#lookUpLater(partition, true)
    if (isUnknown) partition.error = error
    else this.#failPartition(partition, error)
  }

  async #refresh(): Promise<void> {
    const partitions = [...this.#options.partitions()].filter(({ isStopped }) => !isStopped)
    try {
      const topics = new Set(partitions.map(({ topic }) => topic))
      if (topics.size > 0) await this.#cluster.refresh([...topics])
    } catch (error) {
      if (error instanceof LogError && error.code === 'LOG_CLOSED') this.#options.onClosed()
      // The fetches find out what anything else means.
    }
    for (const each of partitions) {
      if (each.leader === undefined || this.#isClosed) continue
      // One that is not found now has a fetch under way, whose answer says why.
      const leader = await this.#cluster.leader(each).catch(() => undefined)
      if (each.leader !== undefined) this.#settle(each, leader)
    }
    if (this.#isClosed) return
    this.#later(REFRESH_MS, () => void this.#refresh())
    this.#options.onChange()
    this.pump()
  }

  #later(waitMs: number, run: () => void): void {
    if (this.#isClosed) return
    const cancel = this.#cluster.clock.after(waitMs, () => {
      this.#timers.delete(cancel)
      run()
    })
    this.#timers.add(cancel)
  }
}

function isWanted(partition: FetchPartition): boolean {
  const { isPaused, isStopped, error, bufferedBytes } = partition
  return !isPaused && !isStopped && error === undefined && bufferedBytes < PREFETCH_BELOW_BYTES
}

function wantedOf(partition: FetchPartition, bytesMax: number): readonly WantedPartition[] {
  const { leader, partition: number, fetchOffset: offset } = partition
  if (leader === undefined) return []
  const { topicId, leaderEpoch } = leader
  return [{ topicId, partition: number, leaderEpoch, offset, bytesMax }]
}

function answerKey(topicId: string | undefined, { partition }: { partition: number }): string {
  return `${topicId}/${partition}`
}
