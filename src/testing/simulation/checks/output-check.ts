/**
 * What each commit has written is what its tasks write when they are run again from the recorded inputs, and it remembers the
 * same times (I5, I8, I10, R1): outputs record by record, changelogs as the last value of each key, metadata as it is.
 *
 * Invariant: looked at in the step in which a commit counts; a committed offset never goes back.
 */
import { partitionKey, type OffsetCommit } from '#log'
import { deadLetterTopicOf, journalTopicOf, lateTopicOf } from '#runtime'
import { asBuffer } from '#system'
import type { Topology } from '#topology'
import type { Decided } from '../broker.ts'
import type { Violations } from '../violations.ts'
import { recordsOf, textOf, type PlainRecord } from './records.ts'
import type { TaskReplay } from './task-replay.ts'

type ByPlace = Map<string, PlainRecord[]>

export class OutputCheck {
  readonly #topology: Topology
  readonly #violations: Violations
  /** By input partition. */
  readonly #replays: ReadonlyMap<string, TaskReplay>
  readonly #committed = new Map<string, number>()

  constructor(topology: Topology, violations: Violations, replays: readonly TaskReplay[]) {
    this.#topology = topology
    this.#violations = violations
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
    for (const [replay, own] of this.#byTask(offsets)) {
      const journal = this.#journalOf(replay, written)
      try {
        const replayed = replay.advance(own, journal)
        for (const [place, records] of byPlace(replayed.appends)) {
          expected.set(place, [...(expected.get(place) ?? []), ...records])
        }
        this.#compareMetadata(replay.taskId, own, replayed.offsets)
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
    return value === undefined || value === null
      ? undefined
      : asBuffer(Uint8Array.from(value, (one) => one.charCodeAt(0)))
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
