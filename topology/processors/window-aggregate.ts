/**
 * Count, reduce and aggregate of a key's records in tumbling or hopping windows: forwards each update, the last one of
 * each commit, or one result when a window closes.
 *
 * Invariant: a window [s, e) takes records while stream time is below e + grace (W2), and none after; what comes later is
 * reported, never lost in silence.
 *
 * One number says which windows are open: those that start at or after `#openFromMs`, which is a multiple of the advance.
 * Stream time is this node's own (W1) and saved, so a restart takes no record that would have been late. It is the highest
 * timestamp seen, or a tick; below a `slowest-upstream` source only what `advanceTime` says, for there records of one
 * upstream task may run far ahead of another's (R12).
 */
import type { WindowTaskStore } from '#state'
import type { Adder } from '../node.ts'
import type { Processor } from '../processor.ts'
import type { RunContext } from '../run-context.ts'
import { UndoableNumber } from '../undo-log.ts'
import type { TimeWindow } from '../windowed.ts'
import { WindowCloser } from '../window-closer.ts'
import {
  type NodeOf,
  streamTimeName,
  type TimeKeeper,
  type Wiring,
  windowStore,
} from '../wiring.ts'

export class WindowAggregate implements Processor, TimeKeeper {
  readonly name: string
  readonly #adder: Adder
  readonly #sizeMs: number
  readonly #advanceMs: number
  readonly #graceMs: number
  readonly #sendsOldValues: boolean
  readonly #isHeld: boolean
  readonly #isTimeHeld: boolean
  readonly #store: WindowTaskStore<unknown, unknown>
  readonly #storeName: string
  readonly #streamTimeMs: UndoableNumber
  readonly #openFromMs: UndoableNumber
  /** Undefined where every update is forwarded. */
  readonly #closer: WindowCloser | undefined
  readonly #run: RunContext
  readonly #next: Processor
  /** Start of the first window of the last record, as `#firstStart` found it. */
  #firstStartMs = 0
  /** The window last forwarded: most records are of the same one, and get the same object. */
  #window: TimeWindow = { startMs: -1, endMs: -1 }

  constructor(node: NodeOf<'window-aggregate'>, wiring: Wiring) {
    this.name = node.name
    this.#adder = node.adder
    this.#sizeMs = node.windows.sizeMs
    this.#advanceMs = node.windows.advanceMs
    this.#graceMs = node.windows.graceMs
    this.#sendsOldValues = node.sendsOldValues
    this.#isHeld = node.emit === 'per-commit'
    this.#isTimeHeld = wiring.isTimeHeld
    this.#store = windowStore(wiring.stores, node.store)
    this.#storeName = node.store
    this.#streamTimeMs = new UndoableNumber(wiring.run.undoLog, -1)
    this.#openFromMs = new UndoableNumber(wiring.run.undoLog, 0)
    this.#closer = node.emit === 'on-close' ? new WindowCloser(node, wiring) : undefined
    this.#run = wiring.run
    this.#next = wiring.next
    this.#store.holdFrom(0)
  }

  process(key: unknown, value: unknown, timestampMs: number): void {
    if (key === null) {
      this.#run.environment.dropped(this.name, 'null key')
      return
    }
    if (!this.#isTimeHeld) this.advanceTime(timestampMs)
    const advanceMs = this.#advanceMs
    const openFromMs = this.#openFromMs.value
    let startMs = this.#firstStart(timestampMs)
    // W6: by ascending start.
    for (; startMs <= timestampMs; startMs += advanceMs) {
      if (startMs >= openFromMs) this.#add(startMs, key, value, timestampMs)
      else this.#late(startMs, key, value)
    }
  }

  /** Of the windows that hold the time; none starts before 0. */
  #firstStart(timestampMs: number): number {
    const advanceMs = this.#advanceMs
    const fromMs = Math.max(0, timestampMs - this.#sizeMs + advanceMs)
    const passedMs = fromMs - this.#firstStartMs
    // A remainder of large numbers costs more than a map lookup, and mostly it would find the same start.
    if (passedMs < 0 || passedMs >= advanceMs) this.#firstStartMs = fromMs - (fromMs % advanceMs)
    return this.#firstStartMs
  }

  #windowAt(startMs: number): TimeWindow {
    if (this.#window.startMs !== startMs) this.#window = { startMs, endMs: startMs + this.#sizeMs }
    return this.#window
  }

  #add(startMs: number, key: unknown, value: unknown, timestampMs: number): void {
    this.#run.node = this.name
    const { initial, add } = this.#adder
    const stored = this.#store.getTimed(key, startMs)
    let before: unknown = null
    let aggregate: unknown = value
    let aggregateMs = timestampMs
    if (stored !== undefined) {
      before = stored.value
      aggregate = add(before, value, key) ?? null
      if (stored.timestampMs > timestampMs) aggregateMs = stored.timestampMs
    } else if (initial !== undefined) {
      before = initial()
      aggregate = add(before, value, key) ?? null
    }
    // A deletion has no time of its own to keep: it carries the record's.
    const storedMs = aggregate === null ? timestampMs : aggregateMs
    if (!this.#store.put(key, startMs, aggregate, storedMs)) {
      this.#run.environment.dropped(this.name, 'window expired')
      return
    }
    if (this.#closer !== undefined) {
      this.#closer.opened(startMs)
      return
    }
    const window = this.#windowAt(startMs)
    // The record cache compares with what was stored, not with what an aggregate begins with.
    if (this.#isHeld)
      this.#next.process({ key, window }, aggregate, storedMs, stored?.value ?? null)
    else {
      const oldValue = this.#sendsOldValues ? before : null
      this.#next.process({ key, window }, aggregate, aggregateMs, oldValue)
    }
  }

  #late(startMs: number, key: unknown, value: unknown): void {
    const { environment } = this.#run
    environment.dropped(this.name, 'late')
    environment.late(this.name, { startMs, endMs: startMs + this.#sizeMs }, key, value)
  }

  /** Closing comes before the record that causes it is added, so that the store may then let go of what has closed. */
  advanceTime(timeMs: number): void {
    if (timeMs <= this.#streamTimeMs.value) return
    this.#streamTimeMs.value = timeMs
    const closeMs = timeMs - this.#graceMs
    if (closeMs >= this.#openFromMs.value + this.#sizeMs) this.#openFrom(this.#openAt(closeMs))
  }

  /** The start of the first window that ends after `closeMs`. */
  #openAt(closeMs: number): number {
    const lastClosed = Math.floor((closeMs - this.#sizeMs) / this.#advanceMs)
    return (lastClosed + 1) * this.#advanceMs
  }

  #openFrom(openFromMs: number): void {
    const openBeforeMs = this.#openFromMs.value
    this.#openFromMs.value = openFromMs
    this.#closer?.close(openBeforeMs, openFromMs)
    this.#store.holdFrom(openFromMs)
  }

  get nextDueTimeMs(): number {
    if (this.#closer === undefined) return Infinity
    const oldestMs = this.#closer.oldestOpenMs(this.#openFromMs.value)
    return oldestMs + this.#sizeMs + this.#graceMs
  }

  announceReturn(): boolean {
    return this.#closer?.announceReturn(this.#openFromMs.value) ?? false
  }

  announceIdle(): boolean {
    return this.#closer?.announceIdle(this.#openFromMs.value) ?? false
  }

  saveTimes(times: Map<string, number>): void {
    const openFromMs = this.#openFromMs.value
    times.set(streamTimeName(this.name), this.#streamTimeMs.value)
    if (this.#closer === undefined) return
    // Kafka Streams keeps the end of what was emitted (C2), from which the start of what is open can be told.
    const emittedMs = openFromMs > 0 ? openFromMs - this.#advanceMs + this.#sizeMs : -1
    times.set(this.#storeName, emittedMs)
    this.#closer.saveTimes(times)
  }

  /** With another grace than before, what was emitted stays closed, and what is due now is emitted at the next record. */
  restoreTimes(times: ReadonlyMap<string, number>): void {
    const streamTimeMs = times.get(streamTimeName(this.name)) ?? -1
    const emittedMs = times.get(this.#storeName) ?? -1
    this.#streamTimeMs.value = streamTimeMs
    const closedMs = this.#closer === undefined ? streamTimeMs - this.#graceMs : emittedMs
    this.#openFromMs.value = Math.max(0, this.#openAt(closedMs))
    this.#closer?.restoreTimes(times)
    this.#store.holdFrom(this.#openFromMs.value)
  }
}
