/**
 * The one queue of everything that is still to happen, ordered by virtual time: whatever waits in a simulation waits here.
 *
 * Invariant: nothing happens but what is taken from the queue, one after the other, and all that follows from it without
 * waiting is over before the next is taken. So a run is a function of its seed, and its trace hash says so.
 */
import { drainMicrotasks } from 'bun:jsc'
import { assert, type CancelTimer } from '#system'

/** Whose completion it is: a process that is paused gets it later, one that is gone never does. */
export interface Owner {
  readonly name: string
  readonly isGone: boolean
  /** Takes what is due while it is paused, to be queued again afterwards; false: it runs. */
  holdsBack(queueAgain: () => void): boolean
}

interface Entry {
  atMs: number
  order: number
  readonly owner: Owner | undefined
  readonly label: string
  run: (() => void) | undefined
}

export class Scheduler {
  readonly #heap: Entry[] = []
  readonly #trace: ((line: string) => void) | undefined
  #nowMs: number = 0
  #order: number = 0
  #steps: number = 0
  #hash: number = 0x811c9dc5

  constructor(trace?: (line: string) => void) {
    this.#trace = trace
  }

  get nowMs(): number {
    return this.#nowMs
  }

  get steps(): number {
    return this.#steps
  }

  /** Of every step so far: when it was, whose, and what. */
  get traceHash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0')
  }

  after(delayMs: number, owner: Owner | undefined, label: string, run: () => void): CancelTimer {
    assert(delayMs >= 0, `${label} lies in the past`)
    const entry: Entry = { atMs: this.#nowMs + delayMs, order: 0, owner, label, run }
    this.#queue(entry)
    return () => {
      entry.run = undefined
    }
  }

  /** At that time, or at once if it has passed. */
  at(atMs: number, owner: Owner | undefined, label: string, run: () => void): void {
    this.#queue({ atMs, order: 0, owner, label, run })
  }

  /** Takes what comes next, and lets all that follows from it happen; false: nothing is left. */
  step(): boolean {
    // What was begun from outside may not have come to its first wait.
    drainMicrotasks()
    for (;;) {
      const entry = this.#pop()
      if (entry === undefined) return false
      const { run, owner, label } = entry
      if (run === undefined || owner?.isGone === true) continue
      this.#nowMs = Math.max(this.#nowMs, entry.atMs)
      if (owner?.holdsBack(() => this.#queue(entry)) === true) continue
      this.#note(label, owner)
      run()
      drainMicrotasks()
      return true
    }
  }

  /** Says in the trace what is not a completion: a fault, a decision of the broker. */
  note(label: string, owner?: Owner): void {
    this.#note(label, owner)
  }

  #note(label: string, owner: Owner | undefined): void {
    this.#steps += 1
    let hash = this.#hash
    const atUs = Math.round(this.#nowMs * 1_000)
    hash = Math.imul(hash ^ (atUs & 0xffff), 0x01000193)
    hash = Math.imul(hash ^ (atUs >>> 16), 0x01000193)
    hash = mix(hash, label)
    if (owner !== undefined) hash = mix(hash, owner.name)
    this.#hash = hash
    if (this.#trace === undefined) return
    const time = this.#nowMs.toFixed(3).padStart(12)
    this.#trace(`${String(this.#steps).padStart(6)} ${time}  ${owner?.name ?? '-'}  ${label}`)
  }

  #queue(entry: Entry): void {
    entry.order = this.#order
    entry.atMs = Math.max(entry.atMs, this.#nowMs)
    this.#order += 1
    this.#push(entry)
  }

  #push(entry: Entry): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(entry)
    while (at > 0) {
      const parent = (at - 1) >>> 1
      const above = heap[parent]
      if (above === undefined || !isBefore(entry, above)) break
      heap[at] = above
      at = parent
    }
    heap[at] = entry
  }

  #pop(): Entry | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined || first === last) return first
    let at = 0
    for (;;) {
      let child = at * 2 + 1
      let below = heap[child]
      if (below === undefined) break
      const right = heap[child + 1]
      if (right !== undefined && isBefore(right, below)) {
        child += 1
        below = right
      }
      if (!isBefore(below, last)) break
      heap[at] = below
      at = child
    }
    heap[at] = last
    return first
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}

function mix(hash: number, text: string): number {
  let mixed = hash
  for (let at = 0; at < text.length; at += 1) {
    mixed = Math.imul(mixed ^ text.charCodeAt(at), 0x01000193)
  }
  return mixed
}
