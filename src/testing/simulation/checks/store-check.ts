/**
 * Each store is the fold of its changelog below its position, and no further than the changelog goes (I7, R2, R6).
 *
 * Invariant: looked at whenever a store or a changelog changes: what was touched by either is compared at once, everything at the
 * end of a run.
 */
import type { StoreChange, StoreHeader } from '#state'
import { asBuffer, assert } from '#system'
import { changelogTopicOf } from '#runtime'
import type { StoreSpec, Topology } from '#topology'
import type { Broker, Decided } from '../broker.ts'
import type { StoreFile, StoreWatcher } from '../simulated-disk.ts'
import type { Violations } from '../violations.ts'
import { recordsOf, shown } from './records.ts'

interface Fold {
  readonly spec: StoreSpec
  readonly topic: string
  readonly partition: number
  /** Everything below is folded in. */
  position: number
  rows: Map<string, string>
}

export class StoreCheck implements StoreWatcher {
  readonly #topology: Topology
  readonly #broker: () => Broker
  readonly #violations: Violations
  readonly #folds = new Map<StoreFile, Fold>()

  constructor(topology: Topology, broker: () => Broker, violations: Violations) {
    this.#topology = topology
    this.#broker = broker
    this.#violations = violations
  }

  applied(file: StoreFile, changes: readonly StoreChange[], header: StoreHeader): void {
    const fold = this.#foldOf(file)
    if (fold === undefined) return
    const position = header.changelogs[0]?.position ?? 0
    if (position < fold.position) this.#refold(fold)
    const touched = this.#foldTo(file, fold, position)
    for (const { key } of changes) touched.add(textOfKey(key))
    this.#compare(file, fold, touched)
  }

  replaced(file: StoreFile): void {
    const fold = this.#folds.get(file)
    if (fold !== undefined) this.#refold(fold)
  }

  /** What counts from now on must lie where no store has passed it over. */
  committed({ appends }: Decided): void {
    for (const { append, appended } of appends) {
      for (const [file, { topic, partition, position }] of this.#folds) {
        if (topic !== append.topic || partition !== append.partition) continue
        if (position <= appended.baseOffset) continue
        this.#violations.add(
          'store position',
          `${where(file)} is at ${position}; its changelog has just got records that count at ${appended.baseOffset}`,
        )
      }
    }
  }

  /** Every row of every store. */
  async all(): Promise<void> {
    for (const [file, fold] of this.#folds) {
      if (file.open === undefined) continue
      // One that was put back to an older state may have been opened and found fit.
      this.#foldTo(file, fold, file.open.header()?.changelogs[0]?.position ?? 0)
      const keys = new Set(fold.rows.keys())
      for await (const rows of file.open.scan()) {
        for (const { key } of rows) keys.add(textOfKey(key))
      }
      this.#compare(file, fold, keys)
    }
  }

  #foldOf(file: StoreFile): Fold | undefined {
    const known = this.#folds.get(file)
    if (known !== undefined) return known
    const { storeName, taskId } = file.location
    const [number, partition] = taskId.split('_').map(Number)
    const sub = this.#topology.subTopologies.find((each) => each.number === number)
    const spec = sub?.stores.find(({ name }) => name === storeName)
    assert(spec !== undefined, `${storeName} is a store of the topology`)
    // What is kept in a form of its own is compared by what it makes a task write.
    if (!spec.logged || spec.kind === 'dedupe') return undefined
    const topic = changelogTopicOf(this.#topology, spec)
    const fold = { spec, topic, partition: partition ?? 0, position: 0, rows: new Map() }
    this.#folds.set(file, fold)
    return fold
  }

  #refold(fold: Fold): void {
    fold.position = 0
    fold.rows = new Map()
  }

  /** The keys that records on the way touch. */
  #foldTo(file: StoreFile, fold: Fold, position: number): Set<string> {
    const touched = new Set<string>()
    const partition = this.#broker().partition(fold)
    if (position > partition.endOffset) {
      this.#violations.add(
        'store position',
        `${where(file)} is at ${position}; its changelog ends at ${partition.endOffset}`,
      )
    }
    const { entries } = partition
    for (let at = partition.indexFrom(fold.position); at < entries.length; at += 1) {
      const entry = entries[at]
      if (entry === undefined || entry.baseOffset >= position) break
      if (entry.bytes === undefined || entry.transaction?.isCommitted === false) continue
      for (const record of recordsOf({ ...fold, bytes: entry.bytes })) {
        if (record.offset < fold.position || record.offset >= position || record.key === null)
          continue
        touched.add(record.key)
        if (record.value === null) fold.rows.delete(record.key)
        else fold.rows.set(record.key, rowOf(fold.spec, record.value, record.timestampMs))
      }
    }
    fold.position = position
    return touched
  }

  #compare(file: StoreFile, fold: Fold, keys: Iterable<string>): void {
    const { open } = file
    if (open === undefined) return
    const { spec } = fold
    for (const key of keys) {
      // Notes of its own that a window store keeps beside its windows.
      if (spec.kind === 'window' && key.length < WINDOW_SUFFIX_BYTES) continue
      const found = open.get(asBuffer(Uint8Array.from(key, (character) => character.charCodeAt(0))))
      const text = found === undefined ? undefined : asBuffer(found).latin1Slice()
      const wanted = fold.rows.get(key)
      if (text === wanted) continue
      // What time alone lets go of has no tombstone.
      if (spec.kind === 'window' && text === undefined) continue
      this.#violations.add(
        'store = fold(changelog)',
        `${where(file)} at ${fold.position}, ${shown(key)}: ${shown(text ?? null)}; its changelog: ${shown(wanted ?? null)}`,
      )
    }
  }
}

const WINDOW_SUFFIX_BYTES = 12

function rowOf(spec: StoreSpec, value: string, timestampMs: number): string {
  const isTimestamped = spec.kind === 'window' || (spec.kind === 'key-value' && spec.timestamped)
  if (!isTimestamped) return value
  const time = asBuffer(new Uint8Array(8))
  time.writeBigInt64BE(BigInt(timestampMs))
  return `${time.latin1Slice()}${value}`
}

function textOfKey(key: Uint8Array): string {
  return asBuffer(key).latin1Slice()
}

function where(file: StoreFile): string {
  return `store ${file.location.storeName} of task ${file.location.taskId} on ${file.instanceId}`
}
