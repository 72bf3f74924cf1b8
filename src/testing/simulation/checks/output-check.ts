/**
 * What each commit has written is what its tasks write when they are run again from the recorded inputs, and it remembers the
 * same times (I5, I8, I10, R1): outputs record by record, changelogs as the last value of each key, metadata as it is.
 *
 * Invariant: looked at in the step in which a commit counts; a committed offset never goes back.
 */
import { partitionKey, type Append, type OffsetCommit } from '#log'
import { changelogTopicOf, deadLetterTopicOf, journalTopicOf, lateTopicOf } from '#runtime'
import { decodeMetadata } from '#runtime/parts'
import type { SubTopology, Topology } from '#topology'
import type { Decided } from '../broker.ts'
import type { SeededRandom } from '../seeded-random.ts'
import type { SimulatedInput } from '../simulated-input.ts'
import type { Violations } from '../violations.ts'
import type { QueryCheck } from './query-check.ts'
import { bytesOf, recordsOf, textOf, type PlainRecord } from './records.ts'
import { compareWithReference } from './reference-check.ts'
import type { Replayed, TaskReplay } from './task-replay.ts'

type ByPlace = Map<string, PlainRecord[]>

/** When, by a wall clock, a silence began: no two runs agree on it, and nothing that is written depends on it. */
const HEARD = '!heard'

export class OutputCheck {
  readonly #topology: Topology
  readonly #violations: Violations
  /** By input partition. */
  readonly #replays: ReadonlyMap<string, TaskReplay>
  readonly #queries: QueryCheck
  /** Changelogs of stores that let go of rows by themselves. */
  readonly #expiring: readonly string[]
  readonly #committed = new Map<string, number>()
  /** What each task wrote when it was run again, commit by commit as the application. */
  readonly #written = new Map<TaskReplay, Append[]>()

  constructor(
    topology: Topology,
    violations: Violations,
    queries: QueryCheck,
    replays: readonly TaskReplay[],
  ) {
    this.#topology = topology
    this.#violations = violations
    this.#queries = queries
    const stores = topology.subTopologies.flatMap((sub) => sub.stores)
    this.#expiring = stores
      .filter(({ kind }) => kind === 'window' || kind === 'dedupe')
      .map((spec) => `${changelogTopicOf(topology, spec)}-`)
    this.#replays = new Map(
      replays.flatMap((replay) => replay.inputs.map((input) => [partitionKey(input), replay])),
    )
  }

  committed({ appends, offsets }: Decided): void {
    if (!this.#goesOn(offsets)) return
    const written = byPlace(appends.map(({ append }) => append))
    const again: Append[] = []
    const expected: SimulatedInput[] = []
    const known = new Set<string>()
    let isWhole = true
    for (const [replay, own] of this.#byTask(offsets)) {
      const advanced = this.#advance(replay, own, written)
      if (advanced === undefined) return
      if (advanced.replayed === undefined) isWhole = false
      else {
        again.push(...advanced.replayed.appends)
        this.#writtenBy(replay).push(...advanced.replayed.appends)
      }
      if (advanced.expected === undefined) continue
      expected.push(...advanced.expected)
      for (const topic of this.#sinksOf(replay.subTopology)) known.add(topic)
    }
    if (isWhole) this.#compareAll(written, byPlace(again))
    for (const topic of known) {
      const records = appends.flatMap(({ append }) =>
        append.topic === topic ? recordsOf(append) : [],
      )
      compareWithReference(topic, records, expected, this.#violations)
    }
  }

  /** Each task once more, in other batches and commits: the same outputs. */
  async replay(random: SeededRandom): Promise<void> {
    for (const replay of new Set(this.#replays.values())) {
      const again = await replay.again(random)
      if (again === undefined) continue
      const [once, twice] = [outputsOf(this.#writtenBy(replay)), outputsOf(again)]
      this.#compareAll(once, twice)
    }
  }

  #writtenBy(replay: TaskReplay): Append[] {
    const known = this.#written.get(replay)
    if (known !== undefined) return known
    const made: Append[] = []
    this.#written.set(replay, made)
    return made
  }

  #advance(
    replay: TaskReplay,
    own: readonly OffsetCommit[],
    written: ByPlace,
  ): ReturnType<TaskReplay['advance']> | undefined {
    try {
      const advanced = replay.advance(own, this.#journalOf(replay, written))
      this.#remember(replay.taskId, own, advanced.replayed)
      return advanced
    } catch (error) {
      this.#violations.add('outputs', `task ${replay.taskId} cannot be run again: ${String(error)}`)
      return undefined
    }
  }

  #remember(taskId: string, own: readonly OffsetCommit[], replayed: Replayed | undefined): void {
    if (replayed === undefined) {
      this.#queries.forget(taskId)
      return
    }
    this.#compareTimes(taskId, own, replayed.offsets)
    this.#queries.committed(taskId, own, replayed.stores)
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

  #sinksOf({ sinks }: SubTopology): readonly string[] {
    return sinks.flatMap(({ topic, internal }) =>
      typeof topic === 'string' && !internal ? [topic] : [],
    )
  }

  #compareTimes(
    taskId: string,
    own: readonly OffsetCommit[],
    replayed: readonly OffsetCommit[],
  ): void {
    for (const { metadata, offset, ...place } of own) {
      const again = replayed.find((one) => partitionKey(one) === partitionKey(place))
      if (again === undefined || again.metadata === metadata) continue
      const [saved, wanted] = [timesOf(metadata), timesOf(again.metadata)]
      if (saved === wanted) continue
      const where = `${partitionKey(place)} ${offset}`
      const what = `task ${taskId} saved ${saved} at ${where}; run again: ${wanted}`
      this.#violations.add('stream time', what)
    }
  }

  #compareAll(written: ByPlace, again: ByPlace): void {
    for (const place of new Set([...written.keys(), ...again.keys()])) {
      this.#compare(place, written.get(place) ?? [], again.get(place) ?? [])
    }
  }

  #compare(place: string, written: readonly PlainRecord[], again: readonly PlainRecord[]): void {
    const isChangelog = place.includes('-changelog-')
    const expires = this.#expiring.some((changelog) => place.startsWith(changelog))
    const textsOf = (records: readonly PlainRecord[]): readonly string[] => {
      if (!isChangelog) return records.map((one) => this.#textOf(place, one))
      // When rows are let go depends on when they were written or restored.
      return lastOfEachKey(expires ? records.filter(({ value }) => value !== null) : records)
    }
    const found = textsOf(written)
    const wanted = textsOf(again)
    for (let at = 0; at < Math.max(found.length, wanted.length); at += 1) {
      if (found[at] === wanted[at]) continue
      const [is, must] = [found[at] ?? 'nothing', wanted[at] ?? 'nothing']
      const what = `${place}, record ${at} of a commit: ${is}; run again: ${must}`
      this.#violations.add(isChangelog ? 'changelog' : 'outputs', what)
      return
    }
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

/** Neither what depends on commits, nor what says where they were. */
function outputsOf(appends: readonly Append[]): ByPlace {
  const outputs = byPlace(appends)
  for (const place of outputs.keys()) {
    if (place.includes('-changelog-') || place.includes('-journal-')) outputs.delete(place)
  }
  return outputs
}

function byPlace(appends: readonly Omit<Append, 'count'>[]): ByPlace {
  const places: ByPlace = new Map()
  for (const append of appends) {
    const place = partitionKey(append)
    const records = places.get(place)
    if (records === undefined) places.set(place, recordsOf(append))
    else records.push(...recordsOf(append))
  }
  return places
}

/** A delete has no time of its own. */
function lastOfEachKey(records: readonly PlainRecord[]): readonly string[] {
  const last = new Map<string | null, string>()
  for (const record of records) {
    last.set(record.key, textOf(record.value === null ? { ...record, timestampMs: 0 } : record))
  }
  return [...last.values()].sort()
}

function timesOf(metadata: string): string {
  const { partitionTimeMs, times } = decodeMetadata(metadata)
  const named = [...times]
    .filter(([name]) => name !== HEARD)
    .map(([name, time]) => `${name}=${time}`)
  return [partitionTimeMs, ...named].join(' ')
}
