/**
 * A store of one task while it is open: the backend's store, and where it stands in its changelog.
 *
 * Invariant: what the header says is what the store holds; `position` is that, or further where the changelog holds nothing
 * for the store in between.
 */
import type { TopicPartition } from '#log'
import {
  STORE_FORMAT,
  type ChangelogPosition,
  type StateStore,
  type StoreChange,
  type StoreHeader,
} from '#state'
import type { StoreSpec } from '#topology'

export interface StoreOwner {
  readonly logId: string
  readonly applicationId: string
  readonly taskId: string
  /** What the backend likes to be given at a time while it is restored. */
  readonly restoreBatchRows: number
  /** The same while others share the thread. */
  readonly restoreSliceRows: number
}

/** A changelog partition as it was when the store was opened. */
export interface Changelog extends TopicPartition {
  readonly topicId: string
  /** An input of the task serves as changelog: its position is the input's (R3). */
  readonly isInput: boolean
  readonly deleteRetentionMs: number
}

export class OpenStore {
  readonly spec: StoreSpec
  readonly store: StateStore
  readonly changelog: Changelog | undefined
  readonly #owner: StoreOwner
  #position: number
  #leaderEpoch: number
  #inputs: Readonly<Record<string, number>>

  constructor(
    owner: StoreOwner,
    spec: StoreSpec,
    store: StateStore,
    changelog: Changelog | undefined,
  ) {
    this.#owner = owner
    this.spec = spec
    this.store = store
    this.changelog = changelog
    const header = store.header()
    const applied = header?.changelogs[0]
    this.#inputs = header?.appliedInputs ?? {}
    this.#position = applied?.position ?? -1
    this.#leaderEpoch = applied?.leaderEpoch ?? -1
  }

  get restoreBatchRows(): number {
    return this.#owner.restoreBatchRows
  }
  get restoreSliceRows(): number {
    return this.#owner.restoreSliceRows
  }
  /** The next changelog offset to apply; −1 while nothing ever was. */
  get position(): number {
    return this.#position
  }
  get leaderEpoch(): number {
    return this.#leaderEpoch
  }

  /** Data and header in one step. What it says about the position is true again when it resolves, or the store is lost. */
  async apply(
    changes: readonly StoreChange[],
    at: {
      readonly position: number
      readonly leaderEpoch: number
      /** Input positions whose effects are in `changes`; a restore does not know them, and those of before stay true. */
      readonly inputs?: Readonly<Record<string, number>>
      readonly nowMs: number
    },
  ): Promise<void> {
    const inputs = at.inputs ?? this.#inputs
    await this.store.apply(changes, this.#header({ ...at, inputs }))
    this.#position = at.position
    this.#leaderEpoch = at.leaderEpoch
    this.#inputs = inputs
  }

  /** Nothing for this store lies below `position`: it was read, or there is nothing to read. */
  skipTo(position: number, leaderEpoch: number): void {
    if (position <= this.#position) return
    this.#position = position
    this.#leaderEpoch = Math.max(this.#leaderEpoch, leaderEpoch)
  }

  #header(at: {
    readonly position: number
    readonly leaderEpoch: number
    readonly inputs: Readonly<Record<string, number>>
    readonly nowMs: number
  }): StoreHeader {
    return {
      format: STORE_FORMAT,
      logId: this.#owner.logId,
      applicationId: this.#owner.applicationId,
      taskId: this.#owner.taskId,
      storeName: this.spec.name,
      changelogs: this.#changelogs(at.position, at.leaderEpoch),
      appliedInputs: at.inputs,
      appliedAtMs: at.nowMs,
    }
  }

  #changelogs(position: number, leaderEpoch: number): readonly ChangelogPosition[] {
    if (this.changelog === undefined || position < 0) return []
    const { topic, partition, topicId } = this.changelog
    return [{ topic, partition, topicId, position, leaderEpoch }]
  }
}
