/**
 * What a user's processor may ask and do while it runs.
 *
 * Invariant: `forward` returns when everything downstream of it is done, and leaves the context as it found it.
 */
import type {
  Cancellable,
  Processor,
  ProcessorContext,
  PunctuationType,
  RecordMetadata,
  StreamRecord,
} from './processor.ts'
import type { Punctuator } from './punctuations.ts'
import type { RunContext } from './run-context.ts'
import { storeView } from './store-views.ts'
import { TopologyError } from './topology.ts'
import type { NodeOf, Wiring } from './wiring.ts'

export class UserContext implements ProcessorContext<unknown, unknown> {
  /** The record that the processor was called with; undefined in `init` and in punctuators. */
  inHand: StreamRecord<unknown, unknown> | undefined = undefined
  readonly #node: NodeOf<'process'>
  readonly #wiring: Wiring
  readonly #run: RunContext
  readonly #children: ReadonlyMap<string, Processor>
  readonly #stores: Map<string, unknown> = new Map()

  constructor(node: NodeOf<'process'>, wiring: Wiring) {
    this.#node = node
    this.#wiring = wiring
    this.#run = wiring.run
    this.#children = new Map(
      wiring.children.map((child, index) => [wiring.childNames[index] ?? '', child]),
    )
  }

  get applicationId(): string {
    return this.#run.environment.applicationId
  }

  get taskId(): string {
    return this.#run.environment.taskId
  }

  get streamTimeMs(): number {
    return this.#run.streamTimeMs
  }

  get wallClockMs(): number {
    return this.#run.environment.wallClockMs()
  }

  get metadata(): RecordMetadata {
    const { topic, partition, offset } = this.#run
    return { topic, partition, offset }
  }

  forward(record: StreamRecord<unknown, unknown>, to?: string): void {
    this.#check(record)
    const child = to === undefined ? this.#wiring.next : this.#childNamed(to)
    const run = this.#run
    const { headers, timestampMs } = run
    run.headers = record.headers
    try {
      child.process(record.key ?? null, record.value ?? null, record.timestampMs)
      run.node = this.#node.name
    } finally {
      run.headers = headers
      run.timestampMs = timestampMs
    }
  }

  #check({ key, timestampMs }: StreamRecord<unknown, unknown>): void {
    if (!(timestampMs >= 0)) {
      const message = `${this.#node.name} forwards a record with the time ${timestampMs}`
      throw new TopologyError('TIMESTAMP_INVALID', message)
    }
    if (!this.#node.keepsKey || (this.inHand !== undefined && this.inHand.key === key)) return
    const message = `${this.#node.name} keeps keys: to forward another one, use process`
    throw new TopologyError('UNSUPPORTED', message)
  }

  #childNamed(name: string): Processor {
    const child = this.#children.get(name)
    if (child !== undefined) return child
    const message = `${this.#node.name} has no child "${name}"`
    throw new TopologyError('OPTION_INVALID', message)
  }

  schedule(everyMs: number, type: PunctuationType, punctuate: Punctuator): Cancellable {
    const { name } = this.#node
    const run = this.#run
    const named: Punctuator = (nowMs) => {
      run.node = name
      punctuate(nowMs)
    }
    return run.punctuations.schedule(name, everyMs, type, named, this.wallClockMs)
  }

  store(name: string): unknown {
    let view = this.#stores.get(name)
    if (view === undefined) {
      view = storeView(this.#wiring, this.#node, name)
      this.#stores.set(name, view)
    }
    return view
  }

  commit(): void {
    this.#run.environment.requestCommit()
  }
}
