/**
 * One commit, from the sealed layers to their release: protocol section 5, steps 1 to 7.
 *
 * Invariant: a store is applied only after the log has said *committed*, at positions the log acknowledged (R2), and a layer
 * is released only after all stores of the commit have applied. Any other outcome leaves the tasks to recovery (R5).
 */
import type { Append, Appended, Log, LogWriter, MemberIdentity, SealedCommit } from '#log'
import { assert } from '#system'
import type { OpenStore } from './open-store.ts'
import type { Guarantee, Machine } from './streams-options.ts'
import type { ProgressOf, SealedStore, SealedTask, TaskApi } from './task-contract.ts'
import { TaskError } from './task-error.ts'

/** A task as a commit needs it. */
export interface CommittingTask {
  readonly task: TaskApi
  readonly stores: ReadonlyMap<string, OpenStore>
  /** Its effects up to these inputs are in the stores: wakes queries that wait for them. */
  applied(inputPositions: Readonly<Record<string, number>>): void
}

export type CommitEnd =
  | { readonly kind: 'committed' }
  | { readonly kind: 'failed'; readonly outcome: string; readonly cause: unknown }

/** What step 1 took: it no longer changes. */
export interface Sealed {
  readonly commit: SealedCommit
  readonly parts: readonly SealedPart[]
}

interface SealedPart {
  readonly task: CommittingTask
  readonly sealed: SealedTask
  /** Where its appends begin in those of the commit. */
  readonly appendsFrom: number
}

/** Step 1, one synchronous step for all tasks, under the generation whose layers these are (R1). Undefined: nothing is dirty. */
export function sealAll(
  tasks: Iterable<CommittingTask>,
  member: MemberIdentity,
  progressOf: ProgressOf,
): Sealed | undefined {
  const parts: SealedPart[] = []
  const appends: Append[] = []
  for (const task of tasks) {
    const sealed = task.task.seal(progressOf)
    if (sealed === undefined) continue
    parts.push({ task, sealed, appendsFrom: appends.length })
    appends.push(...sealed.appends)
  }
  if (parts.length === 0) return undefined
  const { groupId, memberId, instanceId, generation } = member
  return {
    parts,
    commit: {
      appends,
      groupId,
      member: { groupId, memberId, instanceId, generation },
      offsets: parts.flatMap(({ sealed }) => sealed.offsets),
    },
  }
}

export class Committer {
  readonly #log: Log
  readonly #applicationId: string
  readonly #guarantee: Guarantee
  readonly #machine: Machine

  constructor(log: Log, applicationId: string, guarantee: Guarantee, machine: Machine) {
    this.#log = log
    this.#applicationId = applicationId
    this.#guarantee = guarantee
    this.#machine = machine
  }

  /** Steps 2 to 7. Never rejects: what goes wrong is an end. */
  async run(writer: LogWriter, sealed: Sealed): Promise<CommitEnd> {
    const { clock, observer, failpoint } = this.#machine
    failpoint('runtime:after-seal')
    const startedMs = clock.elapsedMs()
    const end = await this.#commitAndApply(writer, sealed)
    observer({
      kind: 'commit',
      applicationId: this.#applicationId,
      outcome: end.kind === 'committed' ? 'committed' : end.outcome,
      durationMs: clock.elapsedMs() - startedMs,
      bytes: sealed.commit.appends.reduce((sum, { bytes }) => sum + bytes.length, 0),
    })
    return end
  }

  async #commitAndApply(writer: LogWriter, sealed: Sealed): Promise<CommitEnd> {
    const appended = await this.#append(writer, sealed.commit)
    if ('kind' in appended) return appended
    try {
      await this.#apply(sealed.parts, appended)
    } catch (cause) {
      return { kind: 'failed', outcome: 'apply-failed', cause }
    }
    this.#machine.failpoint('runtime:before-release')
    for (const { task, sealed: part } of sealed.parts) {
      task.task.release()
      task.applied(part.inputPositions)
    }
    return { kind: 'committed' }
  }

  /** Steps 2 to 4. */
  async #append(
    writer: LogWriter,
    commit: SealedCommit,
  ): Promise<readonly Appended[] | (CommitEnd & { kind: 'failed' })> {
    if (this.#guarantee === 'exactly-once' || this.#log.commitsInOneStep === true) {
      const result = await writer.commit(commit)
      if (result.outcome === 'committed') return result.appended
      return { kind: 'failed', outcome: result.outcome, cause: result.error }
    }
    return this.#appendThenCommit(writer, commit)
  }

  /** At least once: a crash between the two repeats the appends. */
  async #appendThenCommit(
    writer: LogWriter,
    commit: SealedCommit,
  ): Promise<readonly Appended[] | (CommitEnd & { kind: 'failed' })> {
    try {
      const appended = await Promise.all(commit.appends.map((append) => writer.append(append)))
      const result = await writer.commit({ ...commit, appends: [] })
      if (result.outcome === 'committed') return appended
      return { kind: 'failed', outcome: result.outcome, cause: result.error }
    } catch (cause) {
      return { kind: 'failed', outcome: 'aborted', cause }
    }
  }

  /** Step 6: each store atomic with its position, and none waits for another; all of them end before the commit does. */
  async #apply(parts: readonly SealedPart[], appended: readonly Appended[]): Promise<void> {
    const { failpoint } = this.#machine
    let applied = 0
    const applies = parts.flatMap((part) =>
      part.sealed.stores.map(async (sealedStore) => {
        const wrote = await this.#applyStore(part, sealedStore, appended)
        applied += wrote
        if (wrote === 1 && applied === 1) failpoint('runtime:between-applies')
      }),
    )
    for (const each of await Promise.allSettled(applies)) {
      if (each.status === 'rejected') throw each.reason
    }
    if (applied > 0) failpoint('runtime:after-apply')
  }

  async #applyStore(
    part: SealedPart,
    sealedStore: SealedStore,
    appended: readonly Appended[],
  ): Promise<number> {
    const store = part.task.stores.get(sealedStore.storeName)
    assert(store !== undefined, `a sealed store is one of the task's: ${sealedStore.storeName}`)
    const at = await this.#placeAfter(part, store, sealedStore, appended)
    if (sealedStore.changes.length === 0 && at.position === store.position) return 0
    await store.apply(sealedStore.changes, {
      ...at,
      inputs: part.sealed.inputPositions,
      nowMs: this.#machine.clock.nowMs(),
    })
    return 1
  }

  /** R2: the acknowledged offset of the task's last changelog record + 1, else where it was. The end is never asked. */
  async #placeAfter(
    part: SealedPart,
    store: OpenStore,
    sealedStore: SealedStore,
    appended: readonly Appended[],
  ): Promise<{ readonly position: number; readonly leaderEpoch: number }> {
    let { position, leaderEpoch } = store
    const { changelog } = store
    if (changelog === undefined) return { position, leaderEpoch }
    if (changelog.isInput) {
      position = part.sealed.inputPositions[`${changelog.topic}-${changelog.partition}`] ?? position
    }
    for (const index of sealedStore.changelogAppends) {
      const acknowledged = appended[part.appendsFrom + index]
      assert(acknowledged !== undefined, 'every append of a commit is acknowledged')
      if (this.#guarantee === 'at-least-once')
        this.#refuseGap(part.sealed.taskId, store, position, acknowledged)
      position = acknowledged.baseOffset + acknowledged.count
    }
    // The epoch of now is that of the last record or a later one, and for a later one the check at opening is as sharp (R6).
    if (position !== store.position) leaderEpoch = await this.#log.leaderEpoch(changelog)
    return { position, leaderEpoch }
  }

  /** R18: records of a paused owner lie between ours and what the store has: it restores before it applies. */
  #refuseGap(taskId: string, store: OpenStore, position: number, { baseOffset }: Appended): void {
    if (this.#log.commitsInOneStep === true) return
    if (baseOffset === Math.max(position, 0)) return
    throw new TaskError(
      'TASK_CORRUPTED',
      `store ${store.spec.name} is at ${position} and its changelog went on at ${baseOffset}: another owner wrote in between`,
      { taskId },
    )
  }
}
