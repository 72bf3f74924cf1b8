/**
 * The record cache (`emit: 'per-commit'`): a table's changes, held back one a key, and sent when the task commits.
 *
 * Invariant: what is sent goes from the value before the first change held to the value after the last one, with the last
 * one's time and place (X3), in the order of last changes (X2). What is held when is a function of the records taken and of
 * the commits between them, so a journal that names the commits repeats it (R10).
 *
 * It stands between the table's node and its children, and is called like them. It holds at most `HELD_MAX` keys: one more
 * sends all of them first (X4), which is counted in keys and not in bytes, so that a replay does the same.
 */
import type { RecordHeaders } from '#log'
import { asBuffer } from '#system'
import type { AnySerde } from './node.ts'
import type { Processor } from './processor.ts'
import type { RunContext } from './run-context.ts'
import type { Undoable, UndoLog } from './undo-log.ts'
import type { Windowed } from './windowed.ts'

const HELD_MAX = 50_000

/** The last change of a key, and where it came from. It never changes once made. */
interface Change {
  readonly value: unknown
  readonly timestampMs: number
  readonly topic: string | null
  readonly partition: number
  readonly offset: number
  readonly headers: RecordHeaders
  /** In changes of this cache. */
  readonly order: number
}

export interface RecordCacheOptions {
  readonly name: string
  readonly run: RunContext
  /** Of the key, or of the inner key of a windowed one. */
  readonly key: AnySerde
  readonly isWindowed: boolean
  readonly sendsOldValues: boolean
  readonly next: Processor
}

export class RecordCache implements Processor {
  readonly name: string
  readonly #run: RunContext
  readonly #key: AnySerde
  readonly #isWindowed: boolean
  readonly #sendsOldValues: boolean
  readonly #next: Processor
  #order = 0
  #held = new Holding()

  constructor({ name, run, key, isWindowed, sendsOldValues, next }: RecordCacheOptions) {
    this.name = name
    this.#run = run
    this.#key = key
    this.#isWindowed = isWindowed
    this.#sendsOldValues = sendsOldValues
    this.#next = next
  }

  get isEmpty(): boolean {
    return this.#held.keys.length === 0
  }

  process(key: unknown, value: unknown, timestampMs: number, oldValue: unknown): void {
    const { topic, partition, offset, headers } = this.#run
    const order = (this.#order += 1)
    const change = { value, timestampMs, topic, partition, offset, headers, order }
    const startMs = this.#isWindowed ? (key as Windowed<unknown>).window.startMs : 0
    const mapKey = this.#mapKey(this.#isWindowed ? (key as Windowed<unknown>).key : key)
    const known = this.#held.at(startMs).get(mapKey)
    if (known !== undefined) {
      known.replace(change, this.#run.undoLog)
      return
    }
    if (this.#held.keys.length >= HELD_MAX) this.flush()
    this.#held.add(new HeldKey(startMs, mapKey, key, oldValue ?? null, change))
    this.#run.undoLog.note(this.#held)
  }

  /** Sends everything that is held; what that brings to this cache itself is held for the next time. */
  flush(): void {
    const held = this.#held
    if (held.keys.length === 0) return
    this.#held = new Holding()
    this.#run.undoLog.note({ undo: () => (this.#held = held) })
    const { topic, partition, offset, headers } = this.#run
    for (const { key, oldValue, change } of held.keys.toSorted(byLastChange)) {
      // A key that had no value and has none has never been there for anybody else (X2).
      if (change.value === null && oldValue === null) continue
      this.#run.enterRecord(change.topic, change.partition, change.offset, change.headers)
      const shown = this.#sendsOldValues ? oldValue : null
      this.#next.process(key, change.value, change.timestampMs, shown)
    }
    this.#run.enterRecord(topic, partition, offset, headers)
  }

  /** A string itself; else its bytes, marked by a lone surrogate, which no decoded string begins with. */
  #mapKey(key: unknown): string {
    if (typeof key === 'string') return key
    return `\uD800${asBuffer(this.#key.encode(key)).toString('latin1')}`
  }
}

function byLastChange(one: HeldKey, other: HeldKey): number {
  return one.change.order - other.change.order
}

/** One key, from the first change that is held of it to the last. */
class HeldKey implements Undoable {
  readonly startMs: number
  readonly mapKey: string
  readonly key: unknown
  /** Before the first change. */
  readonly oldValue: unknown
  change: Change
  #changeBefore: Change
  #mark = -1

  constructor(startMs: number, mapKey: string, key: unknown, oldValue: unknown, change: Change) {
    this.startMs = startMs
    this.mapKey = mapKey
    this.key = key
    this.oldValue = oldValue
    this.change = change
    this.#changeBefore = change
  }

  replace(change: Change, undoLog: UndoLog): void {
    if (this.#mark !== undoLog.mark) {
      this.#mark = undoLog.mark
      this.#changeBefore = this.change
      undoLog.note(this)
    }
    this.change = change
  }

  undo(): void {
    this.change = this.#changeBefore
  }
}

/** What is held between two flushes, window by window. Undone, it lets go of the key that came last. */
class Holding implements Undoable {
  /** In the order in which they were first held. */
  readonly keys: HeldKey[] = []
  readonly #windows: Map<number, Map<string, HeldKey>> = new Map()
  /** The window that was last asked for: most records stay in it. */
  #lastStartMs = -1
  #last: Map<string, HeldKey> = new Map()

  at(startMs: number): Map<string, HeldKey> {
    if (startMs === this.#lastStartMs) return this.#last
    let keys = this.#windows.get(startMs)
    if (keys === undefined) {
      keys = new Map()
      this.#windows.set(startMs, keys)
    }
    this.#lastStartMs = startMs
    this.#last = keys
    return keys
  }

  add(held: HeldKey): void {
    this.keys.push(held)
    this.at(held.startMs).set(held.mapKey, held)
  }

  undo(): void {
    const last = this.keys.pop()
    if (last !== undefined) this.at(last.startMs).delete(last.mapKey)
  }
}
