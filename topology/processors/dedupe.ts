/**
 * Lets each id pass once: repeats within `withinMs` of stream time are dropped.
 *
 * Invariant: the verdict is a function of the records so far: an id's age is counted in this node's stream time, from its
 * acceptance (R14), never by when something was cleaned up.
 */
import type { DedupeTaskStore } from '#state'
import type { ValueMapper } from '../node.ts'
import type { Processor } from '../processor.ts'
import type { RunContext } from '../run-context.ts'
import { TopologyError } from '../topology.ts'
import { UndoableNumber } from '../undo-log.ts'
import { type NodeOf, streamTimeName, taskStore, type TimeKeeper, type Wiring } from '../wiring.ts'

export class Dedupe implements Processor, TimeKeeper {
  readonly name: string
  readonly nextDueTimeMs: number = Infinity
  readonly #by: ValueMapper
  readonly #store: DedupeTaskStore
  readonly #streamTimeMs: UndoableNumber
  readonly #run: RunContext
  readonly #next: Processor

  constructor(node: NodeOf<'dedupe'>, { run, stores, next }: Wiring) {
    this.name = node.name
    this.#by = node.by
    this.#store = taskStore(stores, node.store) as DedupeTaskStore
    this.#streamTimeMs = new UndoableNumber(run.undoLog, -1)
    this.#run = run
    this.#next = next
  }

  process(key: unknown, value: unknown, timestampMs: number): void {
    this.#run.node = this.name
    this.advanceTime(timestampMs)
    const id = this.#by(value, key) ?? null
    if (id === null) {
      this.#run.environment.dropped(this.name, 'null id')
      return
    }
    if (typeof id !== 'string') {
      throw new TopologyError('OPTION_INVALID', `${this.name}: an id is a string, not ${typeof id}`)
    }
    if (this.#store.isRepeat(id, this.#streamTimeMs.value)) {
      this.#run.environment.dropped(this.name, 'repeat')
      return
    }
    this.#next.process(key, value, timestampMs)
  }

  advanceTime(timeMs: number): void {
    if (timeMs > this.#streamTimeMs.value) this.#streamTimeMs.value = timeMs
  }

  saveTimes(times: Map<string, number>): void {
    times.set(streamTimeName(this.name), this.#streamTimeMs.value)
  }

  restoreTimes(times: ReadonlyMap<string, number>): void {
    this.#streamTimeMs.value = times.get(streamTimeName(this.name)) ?? -1
  }
}
