/**
 * The times and counts of a task that a restart must find again: they travel in the metadata of its committed offsets.
 *
 * Invariant: restored from what was saved, a task goes on as if it had never stopped, and takes no record that would have
 * been late. Whether names are short is decided by all that may ever be saved, before anything is (R21).
 *
 * Partition times ride with their own partition, everything else with the first input. The pipeline's names are nodes and
 * stores, some behind `@` and `~`; ours begin with `!`: `!failed`, `!failed-older`, `!from/<source>/<sender>`, and `!heard`,
 * the wall-clock time from which on a silence counts.
 */
import { partitionKey, type CommittedOffset } from '#log'
import type { PipelineApi } from '#topology'
import {
  decodeMetadata,
  encodeMetadata,
  METADATA_CHARACTERS_MAX,
  metadataCharacters,
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
const NO_TIMES: ReadonlyMap<string, number> = new Map()
/** Brokers refuse more. */
const METADATA_BYTES_MAX = 4096

/** What is saved and restored. */
export interface TaskTimesParts {
  readonly taskId: string
  readonly pipeline: PipelineApi
  readonly queues: readonly RecordQueue[]
  readonly upstreams: readonly UpstreamTimes[]
  readonly failures: FailureWindow
  readonly ticker: Ticker | undefined
}

export class TaskTimes {
  readonly #parts: TaskTimesParts
  /** R21: what each name is saved as, if not as itself. */
  readonly #shortOf: ReadonlyMap<string, string>

  /** METADATA_TOO_LARGE if even short names do not fit. */
  constructor(parts: TaskTimesParts) {
    this.#parts = parts
    const names = namesOf(parts)
    const isLong = metadataCharacters(names) > METADATA_CHARACTERS_MAX
    this.#shortOf = isLong ? shortNames(names) : new Map()
    const characters = metadataCharacters(isLong ? this.#shortOf.values() : names)
    if (characters <= METADATA_BYTES_MAX) return
    const { taskId } = parts
    const message = `task ${taskId} has ${names.length} times to save, in ${characters} bytes`
    throw new TaskError('METADATA_TOO_LARGE', `${message}: split the sub-topology`, { taskId })
  }

  /** One text for each input, in their order. */
  save(): readonly string[] {
    const times = this.#times()
    return this.#parts.queues.map(({ partitionTimeMs, index }) =>
      encodeMetadata({ partitionTimeMs, times: index === 0 ? times : NO_TIMES }),
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
    const times = new Map<string, number>()
    const set = (name: string, time: number): void => {
      times.set(this.#shortOf.get(name) ?? name, time)
    }
    for (const [name, time] of pipeline.savedTimes()) set(name, time)
    const [latest, older] = failures.saved()
    // Most tasks never fail: that is not worth its bytes in every commit.
    if (latest > 0) set(FAILED, latest)
    if (older > 0) set(FAILED_OLDER, older)
    for (const upstream of upstreams) {
      for (const [name, time] of upstream.saved()) set(`${FROM}${name}`, time)
    }
    if (ticker !== undefined) set(HEARD, ticker.heardAtMs(pipeline.streamTimeMs))
    return times
  }
}

/** Every name that may ever be saved: a pipeline saves under the same names from its beginning. */
function namesOf({ pipeline, upstreams, ticker }: TaskTimesParts): readonly string[] {
  const sent = upstreams.flatMap((upstream) => [...upstream.saved()].map(([name]) => name))
  const own = pipeline.savedTimes().keys()
  const heard = ticker === undefined ? [] : [HEARD]
  return [...own, FAILED, FAILED_OLDER, ...heard, ...sent.map((name) => `${FROM}${name}`)]
}
