/**
 * Holds back a table's changes, one a key, until its window closes or for a time; or until there are too many.
 *
 * Invariant: a change leaves with the context it came with (U5), oldest place in the queue first; a key keeps its place while
 * its changes replace each other (U1).
 */
import type { BufferedChange, SuppressTaskStore } from '#state'
import { assert } from '#system'
import type { AnySerde } from '../node.ts'
import type { Processor } from '../processor.ts'
import type { RunContext } from '../run-context.ts'
import { TopologyError } from '../topology.ts'
import { UndoableNumber } from '../undo-log.ts'
import type { Windowed } from '../windowed.ts'
import {
  type NodeOf,
  storeSpec,
  streamTimeName,
  taskStore,
  type TimeKeeper,
  type Wiring,
} from '../wiring.ts'

export class Suppress implements Processor, TimeKeeper {
  readonly name: string
  readonly #node: NodeOf<'suppress'>
  readonly #recordsMax: number
  readonly #bytesMax: number
  readonly #isTimeHeld: boolean
  readonly #key: AnySerde
  readonly #value: AnySerde
  readonly #store: SuppressTaskStore
  readonly #streamTimeMs: UndoableNumber
  readonly #run: RunContext
  readonly #next: Processor

  constructor(node: NodeOf<'suppress'>, wiring: Wiring) {
    const spec = storeSpec(wiring.subTopology, node.store)
    assert(spec.kind === 'suppress', `${node.store} is a suppress store`)
    this.name = node.name
    this.#node = node
    this.#recordsMax = node.recordsMax ?? Infinity
    this.#bytesMax = node.bytesMax ?? Infinity
    this.#isTimeHeld = wiring.isTimeHeld
    this.#key = spec.key
    this.#value = spec.value
    this.#store = taskStore(wiring.stores, node.store) as SuppressTaskStore
    this.#streamTimeMs = new UndoableNumber(wiring.run.undoLog, -1)
    this.#run = wiring.run
    this.#next = wiring.next
  }

  process(key: unknown, value: unknown, timestampMs: number, oldValue: unknown): void {
    // U2: time first, then the change, then what is due: with no time to wait a change leaves at once.
    if (!this.#isTimeHeld && timestampMs > this.#streamTimeMs.value) {
      this.#streamTimeMs.value = timestampMs
    }
    this.#hold(key, value, timestampMs, oldValue ?? null)
    this.#emitDue()
    if (this.#isFull()) this.#relieve()
  }

  #hold(key: unknown, value: unknown, timestampMs: number, oldValue: unknown): void {
    this.#run.node = this.name
    const { topic, partition, offset, headers } = this.#run
    const timeMs =
      this.#node.until === 'window-closes' ? (key as Windowed<unknown>).window.endMs : timestampMs
    const oldBytes = oldValue === null ? null : this.#value.encode(oldValue)
    this.#store.put(timeMs, {
      key: this.#key.encode(key),
      priorValue: oldBytes,
      oldValue: oldBytes,
      newValue: value === null ? null : this.#value.encode(value),
      context: { timestampMs, offset, topic, partition, headers },
    })
  }

  #emitDue(): void {
    const dueMs = this.#streamTimeMs.value - this.#node.durationMs
    while (this.#store.oldestTimeMs <= dueMs) this.#emitOldest()
  }

  #isFull(): boolean {
    return this.#store.records > this.#recordsMax || this.#store.bytes > this.#bytesMax
  }

  /** U4: too many wait. */
  #relieve(): void {
    this.#run.node = this.name
    if (this.#node.whenFull === 'shut-down') {
      const { records, bytes } = this.#store
      throw new TopologyError(
        'BUFFER_FULL',
        `${this.name} buffer exceeded its max capacity. Currently ` +
          `[${records}/${this.#recordsMax}] records and [${bytes}/${this.#bytesMax}] bytes.`,
      )
    }
    while (this.#isFull()) this.#emitOldest()
  }

  #emitOldest(): void {
    const oldest = this.#store.takeOldest()
    assert(oldest !== undefined, `${this.name}: what is due or too much is there`)
    const { change } = oldest
    // U3: a window whose result was deleted never had one.
    if (change.newValue === null && this.#node.until === 'window-closes') return
    this.#send(change)
  }

  #send({ key, newValue, oldValue, context }: BufferedChange): void {
    const run = this.#run
    const { topic, partition, offset, headers } = run
    run.topic = context.topic
    run.partition = context.partition
    run.offset = context.offset
    run.headers = context.headers
    run.node = this.name
    this.#next.process(
      this.#key.decode(key),
      newValue === null ? null : this.#value.decode(newValue),
      context.timestampMs,
      oldValue === null ? null : this.#value.decode(oldValue),
    )
    run.topic = topic
    run.partition = partition
    run.offset = offset
    run.headers = headers
  }

  advanceTime(timeMs: number): void {
    if (timeMs <= this.#streamTimeMs.value) return
    this.#streamTimeMs.value = timeMs
    this.#emitDue()
  }

  get nextDueTimeMs(): number {
    return this.#store.oldestTimeMs + this.#node.durationMs
  }

  saveTimes(times: Map<string, number>): void {
    times.set(streamTimeName(this.name), this.#streamTimeMs.value)
  }

  restoreTimes(times: ReadonlyMap<string, number>): void {
    this.#streamTimeMs.value = times.get(streamTimeName(this.name)) ?? -1
  }
}
