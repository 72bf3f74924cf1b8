/**
 * What happens when windows close: their results go out once, in time order (C1), and across a repartition goes word of how
 * far this node has come (R12).
 *
 * Invariant: after `close(from, to)` nothing of a window that starts before `to` leaves this node again.
 *
 * Why nothing comes late downstream, when what lies below the repartition closes at the slowest upstream:
 *
 * 1. What is announced. After it has emitted everything that closed, the node announces the start `a` of its oldest window
 *    that is still open. Windows only ever close in order, and a result's time is that of a record in its window (R5), so
 *    everything the node sends later has a timestamp of at least `a`: it belongs to windows that end after `a`, whatever
 *    windows are used downstream. (For tumbling windows `a` is the end of the last closed one: stream time minus grace, cut
 *    down to a window's edge. For hopping ones the end would be too much: [0, 10) has closed, but [5, 15) is still to send
 *    a result that may have happened at 6.)
 * 2. Order. Results, then the announcement, leave in one commit, to each partition of the topic in that order, and a log
 *    keeps the order of one writer in a partition. Who reads the announcement has read everything that it covers. The edge
 *    is saved in the same commit, so a restart announces nothing twice and sends nothing from below it.
 * 3. The minimum. A reader's time D is the least announcement over all pairs of upstream task and sending node; a pair that
 *    never spoke holds it at the start. It closes [s, e) once e + its own grace ≤ D. Any record still to come from a pair
 *    with announcement a ≥ D has a timestamp ≥ a, hence its windows end after D: they are open. So a partition may run any
 *    number of windows ahead: its announcements wait for the others', and its results wait in windows that no record can
 *    close (the reader's time is not moved by records).
 * 4. Leaving. A pair declares itself idle only when its task is quiet (R9) and no window with a result is open here; so
 *    when D passes it by, it owes nothing. While it is idle it says nothing, though ticks may move its edge.
 * 5. Returning. With the first record that opens a window the node takes its idleness back, announcing its edge again, in
 *    the commit of that very record: from then on D cannot pass the new window. Until then it can, once the time of every
 *    input that still speaks, less its node's grace, is beyond the window's end. So the grace up here is what a record may
 *    be behind the others, the time until its commit included. A reader that begins anew waits for who had fallen idle, as
 *    it may have died as well, until that has nothing to catch up with. But who has said to a reader that lives on that
 *    nothing comes, and then does not read what comes after all (its worker died just then), may find it late. That is the
 *    price of closing without waiting for the silent; such records are counted and kept as any late record is.
 */
import type { WindowTaskStore } from '#state'
import type { Processor, RecordCollector } from './processor.ts'
import type { RunContext } from './run-context.ts'
import { UndoableNumber } from './undo-log.ts'
import type { PipelineEnvironment } from './pipeline-contract.ts'
import { idleName, type NodeOf, type Wiring, windowStore } from './wiring.ts'

const NO_IDLE = 0
const IDLE = 1

export class WindowCloser {
  readonly #name: string
  readonly #sizeMs: number
  readonly #store: WindowTaskStore<unknown, unknown>
  readonly #environment: PipelineEnvironment
  readonly #collector: RecordCollector
  readonly #announcesTo: readonly string[]
  readonly #next: Processor
  readonly #idle: UndoableNumber
  readonly #run: RunContext
  /**
   * No open window with a result starts before this. It may be too early after a rollback or a delete, which costs a tick
   * that finds nothing; undefined: to be looked up.
   */
  #oldestMs: number | undefined = undefined

  constructor(node: NodeOf<'window-aggregate'>, wiring: Wiring) {
    this.#name = node.name
    this.#sizeMs = node.windows.sizeMs
    this.#store = windowStore(wiring.stores, node.store)
    this.#environment = wiring.run.environment
    this.#collector = wiring.run.environment.collector
    this.#announcesTo = wiring.announcesTo
    this.#next = wiring.next
    this.#run = wiring.run
    this.#idle = new UndoableNumber(wiring.run.undoLog, NO_IDLE)
  }

  /** Emits the windows that start in [fromMs, toMs), by start, then key bytes. */
  close(fromMs: number, toMs: number): void {
    this.#oldestMs = undefined
    let emitted = 0
    for (const { key, windowStartMs, value, timestampMs } of this.#store.windows(
      fromMs,
      toMs - 1,
    )) {
      const window = { startMs: windowStartMs, endMs: windowStartMs + this.#sizeMs }
      this.#next.process({ key, window }, value, timestampMs, null)
      emitted += 1
    }
    if (emitted > 0) this.#environment.windowsClosed?.()
    if (this.#idle.value === NO_IDLE) this.#announce(toMs, false)
  }

  /** A record went into the window; `openFromMs` is where the open windows begin. */
  opened(windowStartMs: number): void {
    if (this.#oldestMs !== undefined && windowStartMs < this.#oldestMs) {
      this.#oldestMs = windowStartMs
    }
    if (this.#idle.value === IDLE) this.#run.announceReturn()
  }

  /** Takes its idleness back; true if it had been idle. */
  announceReturn(openFromMs: number): boolean {
    if (this.#idle.value === NO_IDLE) return false
    this.#idle.value = NO_IDLE
    this.#announce(openFromMs, false)
    return true
  }

  /** Start of the oldest open window that holds something; Infinity if none does. */
  oldestOpenMs(openFromMs: number): number {
    if (this.#oldestMs === undefined) this.#oldestMs = this.#findOldest(openFromMs)
    return this.#oldestMs
  }

  #findOldest(openFromMs: number): number {
    for (const { windowStartMs } of this.#store.windows(openFromMs, Number.MAX_SAFE_INTEGER)) {
      return windowStartMs
    }
    return Infinity
  }

  announceIdle(openFromMs: number): boolean {
    if (this.#announcesTo.length === 0 || this.#idle.value === IDLE) return false
    if (this.oldestOpenMs(openFromMs) !== Infinity) return false
    this.#idle.value = IDLE
    this.#announce(openFromMs, true)
    return true
  }

  saveTimes(times: Map<string, number>): void {
    times.set(idleName(this.#name), this.#idle.value)
  }

  restoreTimes(times: ReadonlyMap<string, number>): void {
    this.#idle.value = times.get(idleName(this.#name)) === IDLE ? IDLE : NO_IDLE
    this.#oldestMs = undefined
  }

  #announce(timeMs: number, isIdle: boolean): void {
    for (const topic of this.#announcesTo) {
      this.#collector.announceTime(topic, this.#name, timeMs, isIdle)
    }
  }
}
