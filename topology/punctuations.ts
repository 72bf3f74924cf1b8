/**
 * Schedules: callbacks by stream time or by the wall clock (P1–P4).
 *
 * Invariant: a schedule fires at most once a check, with the time now as its argument, and its next due time stays on the
 * grid of its first; what was missed in between is skipped (P2, P3).
 *
 * Names are `<node>#<n>`, the nth schedule its node made: a journaled firing finds its schedule by it (R10).
 */
import type { Cancellable, PunctuationType } from './processor.ts'
import { TopologyError } from './topology.ts'
import type { Undoable, UndoLog } from './undo-log.ts'

export type Punctuator = (nowMs: number) => void

export interface Firing {
  readonly name: string
  readonly timeMs: number
}

export class Punctuations {
  readonly #undoLog: UndoLog
  readonly #run: (punctuate: Punctuator, nowMs: number) => void
  readonly #streamTime = new ScheduleList()
  readonly #wallClock = new ScheduleList()
  readonly #made = new Map<string, number>()

  /** `run` calls a punctuator in the context that punctuators have (R4). */
  constructor(undoLog: UndoLog, run: (punctuate: Punctuator, nowMs: number) => void) {
    this.#undoLog = undoLog
    this.#run = run
  }

  /** P1: stream time starts at 0, whatever it is now; the wall clock one interval from now. */
  schedule(
    node: string,
    everyMs: number,
    type: PunctuationType,
    punctuate: Punctuator,
    wallClockMs: number,
  ): Cancellable {
    if (!(everyMs >= 1)) {
      throw new TopologyError('OPTION_INVALID', `${node}: a schedule needs 1 ms or more`)
    }
    const number = this.#made.get(node) ?? 0
    this.#made.set(node, number + 1)
    const list = type === 'stream-time' ? this.#streamTime : this.#wallClock
    const firstMs = type === 'stream-time' ? 0 : wallClockMs + everyMs
    const schedule = new Schedule(
      `${node}#${number}`,
      everyMs,
      firstMs,
      punctuate,
      list,
      this.#undoLog,
    )
    list.add(schedule)
    this.#undoLog.note({
      undo: () => {
        list.remove(schedule)
        this.#made.set(node, number)
      },
    })
    return { cancel: () => schedule.cancel() }
  }

  /** How many are kept, cancelled ones that a rollback may bring back included. */
  get size(): number {
    return this.#streamTime.size + this.#wallClock.size
  }

  get nextStreamTimeMs(): number {
    return this.#streamTime.nextMs
  }

  get nextWallClockMs(): number {
    return this.#wallClock.nextMs
  }

  /** Fires what is due by stream time; returns how many fired. */
  fireStreamTime(nowMs: number): number {
    let fired = 0
    for (;;) {
      const due = this.#streamTime.takeDue(nowMs)
      if (due === undefined) return fired
      this.#run(due.punctuate, nowMs)
      fired += 1
    }
  }

  /** Fires what is due by the wall clock, and says what it was: the journal repeats it. */
  fireWallClock(nowMs: number): readonly Firing[] {
    const firings: Firing[] = []
    for (;;) {
      const due = this.#wallClock.takeDue(nowMs)
      if (due === undefined) return firings
      firings.push({ name: due.name, timeMs: nowMs })
      this.#run(due.punctuate, nowMs)
    }
  }

  replay(name: string, timeMs: number): void {
    const schedule = this.#wallClock.find(name)
    if (schedule === undefined) {
      throw new TopologyError(
        'OPTION_INVALID',
        `the journal fires ${name}, which this program does not schedule: replay what wrote it`,
      )
    }
    schedule.moveOn(timeMs)
    this.#run(schedule.punctuate, timeMs)
  }

  /** After a restart: what was due until `streamTimeMs` had fired before it. */
  resumeAt(streamTimeMs: number): void {
    if (streamTimeMs >= 0) this.#streamTime.skipTo(streamTimeMs)
  }
}

class Schedule implements Undoable {
  readonly name: string
  readonly punctuate: Punctuator
  dueMs: number
  isCancelled: boolean = false
  readonly #everyMs: number
  readonly #list: ScheduleList
  readonly #undoLog: UndoLog
  #dueBeforeMs: number
  #wasCancelled = false
  #mark = -1

  constructor(
    name: string,
    everyMs: number,
    firstMs: number,
    punctuate: Punctuator,
    list: ScheduleList,
    undoLog: UndoLog,
  ) {
    this.name = name
    this.punctuate = punctuate
    this.dueMs = firstMs
    this.#everyMs = everyMs
    this.#dueBeforeMs = firstMs
    this.#list = list
    this.#undoLog = undoLog
  }

  /** Cancelled, and no rollback can bring it back. */
  get isGone(): boolean {
    return this.isCancelled && this.#mark !== this.#undoLog.mark
  }

  /** To the first tick of the grid after `nowMs`, at least one on: examples in P2. */
  moveOn(nowMs: number): void {
    this.#change()
    const passed = Math.max(0, Math.floor((nowMs - this.dueMs) / this.#everyMs))
    this.dueMs += (passed + 1) * this.#everyMs
  }

  cancel(): void {
    this.#change()
    this.isCancelled = true
  }

  undo(): void {
    this.#list.forgetNext()
    this.dueMs = this.#dueBeforeMs
    this.isCancelled = this.#wasCancelled
  }

  #change(): void {
    this.#list.forgetNext()
    if (this.#mark === this.#undoLog.mark) return
    this.#mark = this.#undoLog.mark
    this.#dueBeforeMs = this.dueMs
    this.#wasCancelled = this.isCancelled
    this.#undoLog.note(this)
  }
}

/** Schedules of one kind in the order made, with the next one at hand: it is asked for after every record. */
class ScheduleList {
  #schedules: Schedule[] = []
  #next: Schedule | undefined
  #isNextKnown = true

  add(schedule: Schedule): void {
    this.#schedules = this.#schedules.filter((other) => !other.isGone)
    this.#schedules.push(schedule)
    this.forgetNext()
  }

  remove(schedule: Schedule): void {
    this.#schedules = this.#schedules.filter((other) => other !== schedule)
    this.forgetNext()
  }

  find(name: string): Schedule | undefined {
    return this.#schedules.find((schedule) => schedule.name === name)
  }

  forgetNext(): void {
    this.#isNextKnown = false
  }

  get size(): number {
    return this.#schedules.length
  }

  get nextMs(): number {
    return this.#earliest()?.dueMs ?? Infinity
  }

  /** The earliest that is due, first made first among equals; it has moved on already, so it cannot fire twice a check. */
  takeDue(nowMs: number): Schedule | undefined {
    const earliest = this.#earliest()
    if (earliest === undefined || earliest.dueMs > nowMs) return undefined
    earliest.moveOn(nowMs)
    return earliest
  }

  skipTo(timeMs: number): void {
    for (const schedule of this.#schedules) if (schedule.dueMs <= timeMs) schedule.moveOn(timeMs)
  }

  #earliest(): Schedule | undefined {
    if (this.#isNextKnown) return this.#next
    let earliest: Schedule | undefined
    for (const schedule of this.#schedules) {
      if (schedule.isCancelled) continue
      if (earliest === undefined || schedule.dueMs < earliest.dueMs) earliest = schedule
    }
    this.#next = earliest
    this.#isNextKnown = true
    return earliest
  }
}
