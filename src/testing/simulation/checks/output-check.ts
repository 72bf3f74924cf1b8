/**
 * What each commit has written is what its tasks write when they are run again from the recorded inputs, and it remembers the
 * same times (I5, I8, I10, R1): outputs record by record, changelogs as the last value of each key, metadata as it is.
 *
 * Invariant: looked at in the step in which a commit counts; a committed offset never goes back.
 */
import { partitionKey, type OffsetCommit } from '#log'
import { deadLetterTopicOf, journalTopicOf, lateTopicOf } from '#runtime'
import { asBuffer } from '#system'
import { topicNameOnLog, type Topology } from '#topology'
import type { Decided } from '../broker.ts'
import type { Violations } from '../violations.ts'
import type { SimulatedInput } from '../simulated-input.ts'
import type { QueryCheck } from './query-check.ts'
import { bytesOf, recordsOf, shown, textOf, type PlainRecord } from './records.ts'
import type { TaskReplay } from './task-replay.ts'

type ByPlace = Map<string, PlainRecord[]>

export class OutputCheck {
  readonly #topology: Topology
  readonly #violations: Violations
  /** By input partition. */
  readonly #replays: ReadonlyMap<string, TaskReplay>
  readonly #queries: QueryCheck
  readonly #partitionCounts: ReadonlyMap<string, number>
  readonly #committed = new Map<string, number>()

  constructor(
    topology: Topology,
    violations: Violations,
    queries: QueryCheck,
    partitionCounts: ReadonlyMap<string, number>,
    replays: readonly TaskReplay[],
  ) {
    this.#topology = topology
    this.#violations = violations
    this.#queries = queries
    this.#partitionCounts = partitionCounts
    this.#replays = new Map(
      replays.flatMap((replay) => replay.inputs.map((input) => [partitionKey(input), replay])),
    )
  }

  committedOffset(place: string): number {
    return this.#committed.get(place) ?? 0
  }

  committed({ appends, offsets }: Decided): void {
    if (!this.#goesOn(offsets)) return
    const written = byPlace(appends.map(({ append }) => append))
    const expected: ByPlace = new Map()
    const wanted: SimulatedInput[] = []
    const known = new Set<string>()
    for (const [replay, own] of this.#byTask(offsets)) {
      const journal = this.#journalOf(replay, written)
      try {
        const replayed = replay.advance(own, journal)
        for (const [place, records] of byPlace(replayed.appends)) {
          expected.set(place, [...(expected.get(place) ?? []), ...records])
        }
        this.#compareMetadata(replay.taskId, own, replayed.offsets)
        this.#queries.committed(replay.taskId, own, replayed.stores)
        if (replayed.expected !== undefined) {
          wanted.push(...replayed.expected)
          for (const { topic } of replay.subTopology.sinks) {
            if (typeof topic === 'string') known.add(topicNameOnLog(this.#topology, topic))
          }
        }
      } catch (error) {
        this.#violations.add(
          'outputs',
          `task ${replay.taskId} cannot be run again: ${String(error)}`,
        )
        return
      }
    }
    for (const place of new Set([...written.keys(), ...expected.keys()])) {
      this.#compare(place, written.get(place) ?? [], expected.get(place) ?? [])
    }
    for (const topic of known) this.#compareWithReference(topic, written, wanted)
  }

  /** Key by key, since a key's records are in order wherever they lie. */
  #compareWithReference(topic: string, written: ByPlace, wanted: readonly SimulatedInput[]): void {
    const found = new Map<string | null, string[]>()
    const expected = new Map<string | null, string[]>()
    const partitions = this.#partitionCounts.get(topic) ?? 0
    for (let partition = 0; partition < partitions; partition += 1) {
      for (const { key, value } of written.get(`${topic}-${partition}`) ?? []) {
        pushTo(found, key, shown(value))
      }
    }
    for (const record of wanted) {
      if (record.topic !== topic) continue
      const { key, value } = record
      pushTo(
        expected,
        key && asBuffer(key).latin1Slice(),
        shown(value && asBuffer(value).latin1Slice()),
      )
    }
    for (const key of new Set([...found.keys(), ...expected.keys()])) {
      const [is, must] = [found.get(key)?.join(', '), expected.get(key)?.join(', ')]
      if (is === must) continue
      this.#violations.add(
        'reference',
        `${topic} got ${is} for ${shown(key)}, the reference says ${must}`,
      )
    }
  }

  #goesOn(offsets: readonly OffsetCommit[]): boolean {
    for (const offset of offsets) {
      const key = partitionKey(offset)
      const before = this.#committed.get(key) ?? 0
      if (offset.offset < before) {
        this.#violations.add(
          'offsets',
          `${key} was committed at ${before}, now at ${offset.offset}`,
        )
        return false
      }
      this.#committed.set(key, offset.offset)
    }
    return true
  }

  #byTask(offsets: readonly OffsetCommit[]): ReadonlyMap<TaskReplay, OffsetCommit[]> {
    const tasks = new Map<TaskReplay, OffsetCommit[]>()
    for (const offset of offsets) {
      const replay = this.#replays.get(partitionKey(offset))
      if (replay === undefined) continue
      const own = tasks.get(replay)
      if (own === undefined) tasks.set(replay, [offset])
      else own.push(offset)
    }
    return tasks
  }

  #journalOf({ taskId }: TaskReplay, written: ByPlace): Uint8Array | undefined {
    const [number, partition] = taskId.split('_').map(Number)
    const topic = journalTopicOf(this.#topology.applicationId, number ?? 0)
    const value = written.get(`${topic}-${partition}`)?.[0]?.value
    return value === undefined || value === null ? undefined : bytesOf(value)
  }

  #compareMetadata(
    taskId: string,
    own: readonly OffsetCommit[],
    replayed: readonly OffsetCommit[],
  ): void {
    for (const { metadata, offset, ...place } of own) {
      const again = replayed.find((one) => partitionKey(one) === partitionKey(place))
      if (again === undefined || again.metadata === metadata) continue
      this.#violations.add(
        'stream time',
        `task ${taskId} saved ${metadata} at ${partitionKey(place)} ${offset}, run again it saves ${again.metadata}`,
      )
    }
  }

  #compare(place: string, written: readonly PlainRecord[], expected: readonly PlainRecord[]): void {
    const isLast = place.includes('-changelog-')
    const found = isLast ? lastOfEachKey(written) : written.map((one) => this.#textOf(place, one))
    const wanted = isLast
      ? lastOfEachKey(expected)
      : expected.map((one) => this.#textOf(place, one))
    const at = Array.from({ length: Math.max(found.length, wanted.length) }).findIndex(
      (_, n) => found[n] !== wanted[n],
    )
    if (at < 0) return
    this.#violations.add(
      isLast ? 'changelog' : 'outputs',
      `${place}, record ${at} of a commit: ${found[at] ?? 'nothing'}; run again: ${wanted[at] ?? 'nothing'}`,
    )
  }

  /** A dead letter says where it happened and how, which is not promised to be equal. */
  #textOf(place: string, record: PlainRecord): string {
    const { applicationId } = this.#topology
    const isLoose = [deadLetterTopicOf, lateTopicOf].some((nameOf) =>
      place.startsWith(`${nameOf(applicationId)}-`),
    )
    return textOf(isLoose ? { ...record, headers: [] } : record)
  }
}

function byPlace(
  appends: readonly {
    readonly topic: string
    readonly partition: number
    readonly bytes: Uint8Array
  }[],
): ByPlace {
  const places: ByPlace = new Map()
  for (const append of appends) {
    const place = partitionKey(append)
    places.set(place, [...(places.get(place) ?? []), ...recordsOf(append)])
  }
  return places
}

function lastOfEachKey(records: readonly PlainRecord[]): readonly string[] {
  const last = new Map(records.map((record) => [record.key, textOf(record)]))
  return [...last.values()].sort()
}

function pushTo(lists: Map<string | null, string[]>, key: string | null, text: string): void {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [text])
  else list.push(text)
}
