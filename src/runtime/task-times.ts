/**
 * The times and counts of a task that a restart must find again: they travel in the metadata of its committed offsets.
 *
 * Invariant: restored from what was saved, a task goes on as if it had never stopped, and takes no record that would have
 * been late.
 *
 * Partition times ride with their own partition, everything else with the first input. The pipeline's names are nodes and
 * stores, some behind `@` and `~`; ours begin with `!`: `!failed`, `!failed-older`, `!from/<source>/<sender>`, and `!heard`,
 * the wall-clock time from which on a silence counts.
 */
import { partitionKey, type CommittedOffset } from '#log'
import { idleName, streamTimeName, type PipelineApi, type SubTopology } from '#topology'
import {
  decodeMetadata,
  encodeMetadata,
  METADATA_CHARACTERS_MAX,
  shortNames,
} from './commit-metadata.ts'
import type { FailureWindow } from './failure-window.ts'
import type { RecordQueue } from './record-queue.ts'
import { TaskError } from './task-error.ts'
import type { Ticker } from './ticker.ts'
import type { UpstreamTimes } from './upstream-times.ts'

const FAILED = '!failed'
const FAILED_OLDER = '!failed-older'
const FROM = '!from/'
const HEARD = '!heard'
/** Brokers refuse more. */
const METADATA_BYTES_MAX = 4096

/** What is saved and restored. */
export interface TaskTimesParts {
  readonly taskId: string
  readonly subTopology: SubTopology
  readonly pipeline: PipelineApi
  readonly queues: readonly RecordQueue[]
  readonly upstreams: readonly UpstreamTimes[]
  readonly failures: FailureWindow
  readonly ticker: Ticker | undefined
}

export class TaskTimes {
  readonly #parts: TaskTimesParts
  /** R21: for every name that may ever be saved, so that they are the same at each save. */
  readonly #shortOf: ReadonlyMap<string, string>

  constructor(parts: TaskTimesParts) {
    this.#parts = parts
    this.#shortOf = shortNames(namesOf(parts))
  }

  /** One text for each input, in their order. METADATA_TOO_LARGE if even short names do not fit. */
  save(): readonly string[] {
    const times = this.#times()
    return this.#parts.queues.map(({ partitionTimeMs, index }) =>
      index === 0 ? this.#encode(partitionTimeMs, times) : this.#encode(partitionTimeMs, new Map()),
    )
  }

  /** Restores everything but the positions. */
  restore(committed: ReadonlyMap<string, CommittedOffset>): void {
    const { pipeline, queues, upstreams, failures, ticker } = this.#parts
    const found = new Map<string, number>()
    for (const queue of queues) {
      const offset = committed.get(partitionKey(queue.input))
      if (offset === undefined) continue
      const { partitionTimeMs, times } = decodeMetadata(offset.metadata)
      queue.partitionTimeMs = partitionTimeMs
      for (const [name, time] of times) if (!found.has(name)) found.set(name, time)
    }
    for (const [name, short] of this.#shortOf) {
      const time = found.get(short)
      if (time !== undefined && !found.has(name)) found.set(name, time)
    }
    pipeline.restoreTimes(found)
    failures.restore(found.get(FAILED) ?? 0, found.get(FAILED_OLDER) ?? 0)
    for (const upstream of upstreams) upstream.restore((name) => found.get(`${FROM}${name}`))
    const heardAtMs = found.get(HEARD)
    if (heardAtMs !== undefined) ticker?.inherit(heardAtMs)
  }

  #times(): ReadonlyMap<string, number> {
    const { pipeline, upstreams, failures, ticker } = this.#parts
    const times = new Map(pipeline.savedTimes())
    const [latest, older] = failures.saved()
    // Most tasks never fail: that is not worth its bytes in every commit.
    if (latest > 0) times.set(FAILED, latest)
    if (older > 0) times.set(FAILED_OLDER, older)
    for (const upstream of upstreams) {
      for (const [name, time] of upstream.saved()) times.set(`${FROM}${name}`, time)
    }
    if (ticker !== undefined) times.set(HEARD, ticker.heardAtMs(pipeline.streamTimeMs))
    return times
  }

  #encode(partitionTimeMs: number, times: ReadonlyMap<string, number>): string {
    const plain = encodeMetadata({ partitionTimeMs, times })
    if (plain.length <= METADATA_CHARACTERS_MAX) return plain
    const short = new Map([...times].map(([name, time]) => [this.#shortOf.get(name) ?? name, time]))
    const text = encodeMetadata({ partitionTimeMs, times: short })
    if (text.length <= METADATA_BYTES_MAX) return text
    const { taskId } = this.#parts
    const message = `task ${taskId} has ${times.size} times to save, in ${text.length} bytes`
    throw new TaskError('METADATA_TOO_LARGE', `${message}: split the sub-topology`, { taskId })
  }
}

function namesOf({ subTopology, upstreams, ticker }: TaskTimesParts): readonly string[] {
  const { nodes, stores } = subTopology
  return [
    FAILED,
    FAILED_OLDER,
    ...(ticker === undefined ? [] : [HEARD]),
    streamTimeName(''),
    ...nodes.flatMap(({ name }) => [streamTimeName(name), idleName(name)]),
    ...stores.map(({ name }) => name),
    ...upstreams.flatMap((upstream) => [...upstream.saved()].map(([name]) => `${FROM}${name}`)),
  ]
}
