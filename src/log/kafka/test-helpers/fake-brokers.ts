/**
 * Brokers that answer fetches from batches in memory, freeze, die, follow and refuse as a test says, by a virtual clock.
 *
 * Invariant: what they answer is what Apache Kafka answers in the same case, as far as a fetcher can tell.
 */
import type { Connection } from '@platformatic/kafka'
import type { Random } from '#system'
import { VirtualClock } from '#testing'
import { Buffer } from 'node:buffer'

import { LogError, partitionKey, type TopicPartition } from '../../log.ts'
import type { PartitionLeader, Purpose } from '../cluster.ts'
import { CODE } from '../errors.ts'
import type { AnsweredPartition, FetchResponse } from '../fetch-codec.ts'
import { measureBatches } from '../read-committed.ts'
import { batchAt } from './batches.ts'
import { answerTo, connectionOf, StubCluster } from './stub-cluster.ts'

const API_VERSIONS = 18
const REQUEST_HEAD_BYTES = 21

interface Kept extends TopicPartition {
  readonly topicId: string
  leader: { nodeId: number; leaderEpoch: number }
  startOffset: number
  batches: Buffer[]
  /** An error code that it answers with, as often as is left. */
  refusals: { readonly code: number; left: number } | undefined
}

export interface SeenFetch {
  readonly nodeId: number
  readonly atMs: number
  readonly waitMs: number
  readonly bytesMax: number
  /** Partition numbers, in the order of the request, and the offsets asked for. */
  readonly asked: readonly (readonly [partition: number, offset: number])[]
}

type NodeState = 'up' | 'down' | 'frozen'

export class FakeBrokers extends StubCluster {
  readonly clock: VirtualClock = new VirtualClock()
  readonly random: Random = { next: () => 0.5, uuid: () => 'none' }
  readonly fetches: SeenFetch[] = []
  refreshes: number = 0
  /** Requests that have not been answered, by node. */
  readonly inFlight: Map<number, number> = new Map()
  inFlightMost: number = 0
  readonly #kept: Map<string, Kept> = new Map()
  /** What `leader` answers: as of the last refresh. */
  readonly #known: Map<string, PartitionLeader> = new Map()
  readonly #nodes: Map<number, NodeState> = new Map()
  readonly #onAppend: Set<() => void> = new Set()

  /** Partition n of a topic is led by the n-th of the nodes. */
  create(topic: string, nodes: readonly number[], generation: number = 1): void {
    for (const [partition, nodeId] of nodes.entries()) {
      this.#kept.set(partitionKey({ topic, partition }), {
        topic,
        partition,
        topicId: `00000000-0000-4000-8000-00000000000${generation}`,
        leader: { nodeId, leaderEpoch: 0 },
        startOffset: 0,
        batches: [],
        refusals: undefined,
      })
    }
  }

  delete(topic: string): void {
    for (const [key, each] of this.#kept) if (each.topic === topic) this.#kept.delete(key)
  }

  /** One batch of one record that is about `sizeBytes` large. */
  append(place: TopicPartition, value: string, sizeBytes: number = 0): void {
    const kept = this.#get(place)
    kept.batches.push(batchAt({ baseOffset: endOf(kept) }, [value.padEnd(sizeBytes, '.')]))
    for (const listener of this.#onAppend) listener()
  }

  damage(place: TopicPartition, index: number): void {
    const batch = this.#get(place).batches[index] as Buffer
    batch[batch.length - 1] = (batch[batch.length - 1] as number) ^ 1
  }

  refuse(place: TopicPartition, code: number, times: number = 1): void {
    this.#get(place).refusals = { code, left: times }
  }

  lead(place: TopicPartition, nodeId: number): void {
    const { leader } = this.#get(place)
    this.#get(place).leader = { nodeId, leaderEpoch: leader.leaderEpoch + 1 }
  }

  set(nodeId: number, state: NodeState): void {
    this.#nodes.set(nodeId, state)
  }

  /** Lets everything that is ready happen. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 12; turn += 1) await this.clock.turn()
  }

  /** Time passes in steps, with everything that becomes ready on the way. */
  async pass(ms: number): Promise<void> {
    await this.settle()
    for (let left = ms; left > 0; left -= 10) {
      this.clock.advance(Math.min(10, left))
      await this.settle()
    }
  }

  // ------------------------------------------------------------ what a reader asks of a cluster

  override openLane(): string {
    return 'lane'
  }

  override closeLane(): void {}

  override async leader(place: TopicPartition): Promise<PartitionLeader> {
    const key = partitionKey(place)
    if (!this.#known.has(key)) await this.refresh()
    const known = this.#known.get(key)
    if (known === undefined)
      throw new LogError('TOPIC_UNKNOWN', `there is no ${key}`, { at: place })
    return known
  }

  override leaderHint(
    place: TopicPartition,
    leader: { nodeId: number; leaderEpoch: number },
  ): void {
    const known = this.#known.get(partitionKey(place))
    if (known === undefined || known.leaderEpoch >= leader.leaderEpoch) return
    this.#known.set(partitionKey(place), { ...known, ...leader })
  }

  override async refresh(): Promise<void> {
    this.refreshes += 1
    this.#known.clear()
    for (const [key, { topicId, leader }] of this.#kept)
      this.#known.set(key, { topicId, ...leader })
  }

  override async call<T>(
    nodeId: number,
    _purpose: Purpose,
    timeoutMs: number,
    exchange: (connection: Connection) => Promise<T>,
  ): Promise<T> {
    const state = this.#nodes.get(nodeId) ?? 'up'
    const unavailable = new LogError('LOG_UNAVAILABLE', `${nodeId} is ${state}`, {
      retriable: true,
    })
    if (state === 'down') throw unavailable
    const count = (this.inFlight.get(nodeId) ?? 0) + 1
    this.inFlight.set(nodeId, count)
    this.inFlightMost = Math.max(this.inFlightMost, count)
    const frozen = Promise.withResolvers<T>()
    const cancel = this.clock.after(timeoutMs, () => frozen.reject(unavailable))
    try {
      return await Promise.race([exchange(this.#connection(nodeId)), frozen.promise])
    } finally {
      cancel()
      this.inFlight.set(nodeId, (this.inFlight.get(nodeId) ?? 1) - 1)
    }
  }

  #connection(nodeId: number): Connection {
    return connectionOf((api, _version, payload, _parse, _request, _response, done) => {
      const answer = answerTo(done)
      if (this.#nodes.get(nodeId) === 'frozen') return
      if (api === API_VERSIONS) {
        return answer(null, { apiKeys: [{ apiKey: 1, minVersion: 4, maxVersion: 17 }] })
      }
      const { buffer } = payload() as { readonly buffer: Buffer }
      void this.#answer(nodeId, buffer).then((response) => answer(null, response))
    })
  }

  async #answer(nodeId: number, request: Buffer): Promise<FetchResponse> {
    const waitMs = request.readInt32BE(0)
    const bytesMax = request.readInt32BE(8)
    const asked = askedIn(request)
    this.fetches.push({
      nodeId,
      atMs: this.clock.elapsedMs(),
      waitMs,
      bytesMax,
      asked: asked.map(({ partition, offset }) => [partition, offset]),
    })
    const deadlineMs = this.clock.elapsedMs() + waitMs
    for (;;) {
      const partitions = this.#look(nodeId, asked, bytesMax)
      const hasNews = partitions.some((each) => each.errorCode !== 0 || each.records.length > 0)
      const leftMs = deadlineMs - this.clock.elapsedMs()
      if (hasNews || leftMs <= 0) return { errorCode: 0, partitions }
      await this.#news(leftMs)
    }
  }

  #look(
    nodeId: number,
    asked: ReturnType<typeof askedIn>,
    bytesMax: number,
  ): readonly AnsweredPartition[] {
    let left = bytesMax
    return asked.map((wanted) => {
      const answer = this.#lookAt(nodeId, wanted, left)
      left -= answer.records.length
      return answer
    })
  }

  #lookAt(
    nodeId: number,
    wanted: ReturnType<typeof askedIn>[number],
    left: number,
  ): AnsweredPartition {
    const { topicId, partition } = wanted
    const kept = [...this.#kept.values()].find((each) => {
      return each.topicId === topicId && each.partition === partition
    })
    const answer = (errorCode: number, records: Buffer = Buffer.alloc(0)): AnsweredPartition => {
      const end = errorCode !== 0 || kept === undefined ? -1 : endOf(kept)
      const leader = errorCode === CODE.notLeaderOrFollower ? kept?.leader : undefined
      const ends = { highWatermark: end, lastStableOffset: end }
      return { topicId, partition, errorCode, ...ends, leader, aborted: [], records }
    }
    if (kept === undefined) return answer(CODE.unknownTopicId)
    if (kept.refusals !== undefined && kept.refusals.left > 0) {
      kept.refusals.left -= 1
      return answer(kept.refusals.code)
    }
    if (wanted.leaderEpoch < kept.leader.leaderEpoch) return answer(CODE.fencedLeaderEpoch)
    if (kept.leader.nodeId !== nodeId) return answer(CODE.notLeaderOrFollower)
    if (wanted.offset < kept.startOffset || wanted.offset > endOf(kept)) {
      return answer(CODE.offsetOutOfRange)
    }
    const batches = kept.batches.filter((batch) => measureBatches(batch).nextOffset > wanted.offset)
    const records = Buffer.concat(batches)
    const first = left <= 0 ? 0 : (batches[0]?.length ?? 0)
    return answer(
      0,
      Buffer.from(records.subarray(0, Math.max(first, Math.min(left, wanted.bytesMax)))),
    )
  }

  #news(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        cancel()
        this.#onAppend.delete(end)
        resolve()
      }
      const cancel = this.clock.after(waitMs, end)
      this.#onAppend.add(end)
    })
  }

  #get(place: TopicPartition): Kept {
    const kept = this.#kept.get(partitionKey(place))
    if (kept === undefined) throw new Error(`there is no ${partitionKey(place)}`)
    return kept
  }
}

function endOf({ batches, startOffset }: Kept): number {
  const last = batches.at(-1)
  return last === undefined ? startOffset : measureBatches(last).nextOffset
}

/** The partitions of a request of version 17: of few topics and partitions, so that every length is one byte. */
function askedIn(request: Buffer): readonly {
  readonly topicId: string
  readonly partition: number
  readonly leaderEpoch: number
  readonly offset: number
  readonly bytesMax: number
}[] {
  const asked: ReturnType<typeof askedIn>[number][] = []
  let at = REQUEST_HEAD_BYTES
  for (let topics = request.readUInt8(at++) - 1; topics > 0; topics -= 1) {
    const hex = request.toString('hex', at, at + 16)
    const topicId = hex.replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5')
    at += 16
    for (let left = request.readUInt8(at++) - 1; left > 0; left -= 1) {
      asked.push({
        topicId,
        partition: request.readInt32BE(at),
        leaderEpoch: request.readInt32BE(at + 4),
        offset: Number(request.readBigInt64BE(at + 8)),
        bytesMax: request.readInt32BE(at + 28),
      })
      at += 33
    }
    at += 1
  }
  return asked
}
