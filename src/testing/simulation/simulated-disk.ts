/**
 * The state folder of one instance: stores that outlive its processes, and what can happen to them in between.
 *
 * Each store is kept with every batch that was applied to it, so that an older copy of it can be put back: what a copied
 * folder holds, or what is left when the machine lost what was not synced. It is a prefix, as real backends keep one or nothing.
 *
 * Invariant: a batch is applied whole or not at all; of a process that is gone nothing is applied any more.
 */
import { MemoryBackend } from '#state/memory'
import {
  StateError,
  type OpenedStore,
  type ScanOptions,
  type OrderedStore,
  type StateStore,
  type StoreBackend,
  type StoreChange,
  type StoreEntry,
  type StoreHeader,
  type StoreLocation,
} from '#state'
import { assert } from '#system'
import type { FaultPlan } from './fault-plan.ts'
import { never, type SimulatedProcess } from './simulated-process.ts'
import type { SeededRandom } from './seeded-random.ts'

const APPLY_MS_MAX = 1
const SLOW_APPLY_MS_MAX = 3_000

/** What is told of a store whenever its contents have changed. */
export interface StoreWatcher {
  applied(file: StoreFile, changes: readonly StoreChange[], header: StoreHeader): void
  /** Emptied, or put back to an older state. */
  replaced(file: StoreFile): void
}

interface Applied {
  readonly changes: readonly StoreChange[]
  readonly header: StoreHeader
}

/** A store on a disk, open or not. */
export class StoreFile {
  readonly instanceId: string
  readonly location: StoreLocation
  backend: MemoryBackend = new MemoryBackend()
  history: Applied[] = []
  /** Found at the next opening, which throws everything away. */
  isDamaged: boolean = false
  open: OrderedStore | undefined

  constructor(instanceId: string, location: StoreLocation) {
    this.instanceId = instanceId
    this.location = location
  }

  get name(): string {
    return nameOf(this.location)
  }
}

export class SimulatedDisk {
  readonly instanceId: string
  readonly files: Map<string, StoreFile> = new Map()
  /** What the process last said about its tasks; goes with the folder. */
  held: Readonly<Record<string, number>> = {}
  readonly #faults: FaultPlan
  readonly #random: SeededRandom
  readonly #watcher: StoreWatcher

  constructor(instanceId: string, faults: FaultPlan, random: SeededRandom, watcher: StoreWatcher) {
    this.instanceId = instanceId
    this.#faults = faults
    this.#random = random
    this.#watcher = watcher
  }

  /** As a process opens them. */
  backendFor(process: SimulatedProcess): StoreBackend {
    return {
      kind: 'memory',
      ordered: true,
      restoreBatchRows: 16,
      restoreSliceRows: 4,
      open: (location) => this.#open(process, location),
      wipe: (location) => this.#wipe(process, location),
    }
  }

  /** Its process is gone: whatever it had open can be opened again. */
  async letGo(): Promise<void> {
    for (const file of this.files.values()) {
      const { open } = file
      file.open = undefined
      await open?.close()
    }
  }

  /** Everything is gone, as with an emptied folder. */
  lose(): void {
    this.held = {}
    for (const file of this.files.values()) this.#rebuild(file, 0)
  }

  /** Puts each store back to what it was at some time before: at most `batches` of its last ones are gone. */
  goBack(batches: number): void {
    for (const file of this.files.values()) {
      const lost = this.#random.between(0, Math.min(batches, file.history.length))
      if (lost > 0) this.#rebuild(file, file.history.length - lost)
    }
  }

  /** One store, found broken when it is opened. */
  damage(): void {
    const file = this.#random.pick([...this.files.values()])
    if (file !== undefined) file.isDamaged = true
  }

  /** Two stores lie where the other should; false if there are none. */
  swap(): boolean {
    const files = [...this.files.values()].filter(({ history }) => history.length > 0)
    const first = this.#random.pick(files)
    const others = files.filter(
      ({ location }) =>
        location.storeName === first?.location.storeName &&
        location.taskId !== first.location.taskId,
    )
    const second = this.#random.pick(others)
    if (first === undefined || second === undefined) return false
    const { history } = first
    first.history = second.history
    second.history = history
    this.#rebuild(first, first.history.length)
    this.#rebuild(second, second.history.length)
    return true
  }

  #rebuild(file: StoreFile, keep: number): void {
    assert(file.open === undefined, 'nothing happens to a store while it is open')
    file.history = file.history.slice(0, keep)
    file.backend = new MemoryBackend()
    this.#watcher.replaced(file)
  }

  async #open(process: SimulatedProcess, location: StoreLocation): Promise<OpenedStore> {
    await process.soon('open store')
    if (process.isGone) return never()
    if (this.#faults.happens('store-failed')) {
      throw new StateError('STORE_FAILED', 'the disk refused to open it')
    }
    const name = nameOf(location)
    const file = this.files.get(name) ?? new StoreFile(this.instanceId, location)
    this.files.set(name, file)
    const wasDamaged = file.isDamaged
    if (wasDamaged) {
      file.isDamaged = false
      this.#rebuild(file, 0)
    }
    const { store } = await file.backend.open(location)
    // Put back from its history: the backend is new.
    if (store.header() === undefined) {
      for (const { changes, header } of file.history) await store.apply(changes, header)
    }
    file.open = store as OrderedStore
    const wiped = wasDamaged
      ? { reason: 'damaged' as const, text: 'torn by the simulation' }
      : undefined
    return { store: new SimulatedStore(this, file, process), wiped }
  }

  async #wipe(process: SimulatedProcess, location: StoreLocation): Promise<void> {
    await process.soon('wipe store')
    const file = this.files.get(nameOf(location))
    if (file === undefined || process.isGone) return
    await file.backend.wipe(location)
    this.#rebuild(file, 0)
  }

  /** Asked by an open store: the batch is written after a while, and its process hears of it after that. */
  apply(
    file: StoreFile,
    process: SimulatedProcess,
    changes: readonly StoreChange[],
    header: StoreHeader,
  ): Promise<void> {
    if (process.isGone) return never()
    if (process.isPaused) {
      return process.soon('write').then(() => this.apply(file, process, changes, header))
    }
    const faults = this.#faults
    const fails = faults.happens('store-failed')
    const failsLate = !fails && faults.happens('store-failed-late')
    const delayMs =
      this.#random.next() * (faults.happens('store-slow') ? SLOW_APPLY_MS_MAX : APPLY_MS_MAX)
    return new Promise((resolve, reject) => {
      process.scheduler.after(delayMs, undefined, 'apply', () => {
        if (process.isGone || file.open === undefined) return
        if (!fails) this.#write(file, changes, header)
        process.after(0, 'applied', () => {
          if (!fails && !failsLate) resolve()
          else reject(new StateError('STORE_FAILED', 'the disk refused this apply'))
        })
      })
    })
  }

  #write(file: StoreFile, changes: readonly StoreChange[], header: StoreHeader): void {
    const kept = changes.map(({ key, value }) => ({
      key: key.slice(),
      value: value?.slice() ?? null,
    }))
    file.history.push({ changes: kept, header })
    // The store in memory has applied it when this returns, though it says so later.
    void file.open?.apply(changes, header)
    this.#watcher.applied(file, changes, header)
  }

  /** Closed by its process; its contents stay. */
  async closed(file: StoreFile): Promise<void> {
    const { open } = file
    file.open = undefined
    await open?.close()
  }

  readFails(): boolean {
    return this.#faults.happens('store-unreadable')
  }
}

/** A store as its process has it: after a failure it is of no use any more. */
class SimulatedStore implements OrderedStore {
  readonly ordered = true as const
  readonly takesRepeats: boolean = true
  readonly #disk: SimulatedDisk
  readonly #file: StoreFile
  readonly #process: SimulatedProcess
  readonly #store: OrderedStore
  #refusal: StateError | undefined

  constructor(disk: SimulatedDisk, file: StoreFile, process: SimulatedProcess) {
    assert(file.open !== undefined, 'a store is opened before it is used')
    this.#disk = disk
    this.#file = file
    this.#process = process
    this.#store = file.open
  }

  header(): StoreHeader | undefined {
    return this.#usable().header()
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const store = this.#usable()
    if (this.#disk.readFails()) {
      this.#refusal = new StateError('STORE_FAILED', 'the disk refused this read')
      throw this.#refusal
    }
    return store.get(key)
  }

  async apply(changes: readonly StoreChange[], header: StoreHeader): Promise<void> {
    this.#usable()
    try {
      await this.#disk.apply(this.#file, this.#process, changes, header)
    } catch (error) {
      if (error instanceof StateError) this.#refusal = error
      throw error
    }
  }

  async *scan(options?: ScanOptions): AsyncGenerator<readonly StoreEntry[]> {
    for await (const rows of this.#usable().scan(options)) {
      yield rows
      await this.#process.soon('scan')
    }
  }

  range(options: ScanOptions & { readonly rowsMax?: number }): readonly StoreEntry[] {
    return this.#usable().range(options)
  }

  size(): ReturnType<StateStore['size']> {
    return this.#usable().size()
  }

  async close(): Promise<void> {
    if (this.#refusal?.code === 'STORE_CLOSED') return
    await this.#process.soon('close store')
    this.#refusal = new StateError('STORE_CLOSED', 'it is closed')
    if (this.#file.open === this.#store) await this.#disk.closed(this.#file)
  }

  #usable(): OrderedStore {
    if (this.#refusal !== undefined) throw this.#refusal
    return this.#store
  }
}

function nameOf({ applicationId, taskId, storeName }: StoreLocation): string {
  return `${applicationId}/${taskId}/${storeName}`
}
