/**
 * Runs a task store and a naive model of it through the same life: records that succeed or throw, seals, releases, crashes at
 * every point of a commit, and stores rebuilt from their changelog alone.
 */
import fc from 'fast-check'
import type { RestoreSpec } from '../restorer.ts'
import type { OrderedStore } from '../store.ts'
import type { ChangelogRecord, SealedWrites, TaskStore } from '../task-store.ts'
import { HEADER, openMemory, restore } from './task-stores.ts'

/** How a task store is modelled. A model is what the task sees, as a plain value; `do` compares what both answer. */
export interface Modelled<Store extends TaskStore, Model, Op> {
  readonly spec: RestoreSpec
  readonly op: fc.Arbitrary<Op>
  open(backend: OrderedStore): Store
  empty(): Model
  copy(model: Model): Model
  do(op: Op, store: Store, model: Model): void
  /** Everything that can be read agrees. */
  compare(store: Store, model: Model): void
  /** What the seal gave agrees with the model before and after; optional. */
  compareSealed?(sealed: SealedWrites, before: Model, after: Model): void
  /** After load: what the operator would call before its first record. */
  start?(store: Store, model: Model): void
}

type Step<Op> =
  | { readonly step: 'record'; readonly ops: readonly Op[]; readonly throws: boolean }
  | { readonly step: 'seal' }
  | { readonly step: 'apply' }
  /** Everything in memory is gone; whether the sealed commit had reached the log was decided before. */
  | { readonly step: 'crash'; readonly committed: boolean }
  /** The disk is gone too. */
  | { readonly step: 'rebuild' }

function steps<Op>(op: fc.Arbitrary<Op>): fc.Arbitrary<readonly Step<Op>[]> {
  const record = fc.record({
    step: fc.constant('record' as const),
    ops: fc.array(op, { maxLength: 4 }),
    throws: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, fc.boolean()),
  })
  const crash = fc.record({ step: fc.constant('crash' as const), committed: fc.boolean() })
  return fc.array(
    fc.oneof(
      { weight: 12, arbitrary: record },
      { weight: 4, arbitrary: fc.constant({ step: 'seal' as const }) },
      { weight: 4, arbitrary: fc.constant({ step: 'apply' as const }) },
      { weight: 1, arbitrary: crash },
      { weight: 1, arbitrary: fc.constant({ step: 'rebuild' as const }) },
    ),
    { maxLength: 60, size: 'max' },
  )
}

class Life<Store extends TaskStore, Model, Op> {
  readonly #kind: Modelled<Store, Model, Op>
  #backend: OrderedStore
  #store: Store
  #changelog: ChangelogRecord[] = []
  /** What the task sees, what the sealed layer makes of the store, and what the log has committed. */
  #now: Model
  #committed: Model
  #sealed: { readonly writes: SealedWrites; readonly model: Model } | undefined

  constructor(kind: Modelled<Store, Model, Op>, backend: OrderedStore) {
    this.#kind = kind
    this.#backend = backend
    this.#store = kind.open(backend)
    this.#now = kind.empty()
    this.#committed = kind.empty()
  }

  async run(life: readonly Step<Op>[]): Promise<void> {
    await this.#open()
    for (const step of life) {
      await this.#run(step)
      this.#kind.compare(this.#store, this.#now)
    }
  }

  async #run(step: Step<Op>): Promise<void> {
    if (step.step === 'record') return this.#record(step.ops, step.throws)
    if (step.step === 'seal') return this.#seal()
    if (step.step === 'apply') return this.#apply()
    if (step.step === 'crash') return this.#crash(step.committed)
    return this.#rebuild()
  }

  #record(ops: readonly Op[], throws: boolean): void {
    const before = this.#kind.copy(this.#now)
    this.#store.savepoint()
    for (const op of ops) this.#kind.do(op, this.#store, this.#now)
    if (!throws) return
    this.#store.rollback()
    this.#now = before
  }

  #seal(): void {
    if (this.#sealed !== undefined) return
    const model = this.#kind.copy(this.#now)
    const writes = this.#store.seal()
    this.#kind.compareSealed?.(writes, this.#committed, model)
    this.#sealed = { writes, model }
  }

  async #apply(): Promise<void> {
    if (this.#sealed === undefined) return
    await this.#backend.apply(this.#sealed.writes.changes, HEADER)
    this.#store.release()
    this.#reachedLog()
  }

  #reachedLog(): void {
    if (this.#sealed === undefined) return
    this.#changelog.push(...this.#sealed.writes.changelog)
    this.#committed = this.#sealed.model
    this.#sealed = undefined
  }

  async #crash(committed: boolean): Promise<void> {
    const missed = committed ? (this.#sealed?.writes.changelog ?? []) : []
    if (committed) this.#reachedLog()
    // The log has it and the store has not: the restorer brings it, from the store's position on.
    await restore(this.#kind.spec, this.#backend, missed)
    await this.#open()
  }

  async #rebuild(): Promise<void> {
    this.#backend = await openMemory()
    await restore(this.#kind.spec, this.#backend, this.#changelog)
    await this.#open()
  }

  async #open(): Promise<void> {
    this.#sealed = undefined
    this.#now = this.#kind.copy(this.#committed)
    this.#store = this.#kind.open(this.#backend)
    await this.#store.load()
    this.#kind.start?.(this.#store, this.#now)
  }
}

/** Fails with the shortest life in which store and model differ. */
export async function liveAlike<Store extends TaskStore, Model, Op>(
  kind: Modelled<Store, Model, Op>,
  lives: number,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(steps(kind.op), async (life) => {
      await new Life(kind, await openMemory()).run(life)
    }),
    { numRuns: lives },
  )
}
