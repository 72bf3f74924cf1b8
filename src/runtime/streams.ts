/**
 * `Streams`: one application, running. It takes part in the application's group, and answers what a person asks of it.
 *
 * Invariant: nothing of an application runs before `start` or after `close` has resolved.
 */
import { assert } from '#system'
import type { Topology, Windowed } from '#topology'
import type { Queryable, TableQuery, WindowQuery } from './query.ts'
import type { StreamsMetrics } from './streams-metrics.ts'
import { NO_METRICS } from './streams-metrics.ts'
import type { StreamsOptions, TopologySource } from './streams-options.ts'
import type { StreamsState } from './streams-state.ts'

/** How far an input partition of the application is behind. */
export interface InputLag {
  readonly topic: string
  readonly partition: number
  /** The next input offset to be committed; the earliest offset while nothing is. */
  readonly committed: number
  readonly highWatermark: number
  /** Control records count, so 0 says caught up and a small number may. */
  readonly lagRecords: number
}

export interface StreamsEvents {
  state: { readonly from: StreamsState; readonly to: StreamsState }
  failed: { readonly error: unknown }
}

export class Streams {
  readonly applicationId: string

  constructor(topology: TopologySource, _options: StreamsOptions) {
    assert(!('module' in topology), 'not yet')
    this.applicationId = (topology as Topology).applicationId
  }

  get state(): StreamsState {
    return 'created'
  }
  /** What `state` is 'error' for. */
  get failure(): unknown {
    return undefined
  }
  get metrics(): StreamsMetrics {
    return NO_METRICS
  }

  /** Creates what is missing on the log, joins the group, and resolves once the first tasks run (or none were given). */
  start(): Promise<void> {
    return Promise.reject(assert(false, 'not yet'))
  }
  /** Commits, closes and stops. With `leave` the other members take over at once; without, the place is kept for a restart. */
  close(_options: { readonly leave?: boolean } = {}): Promise<void> {
    return Promise.reject(assert(false, 'not yet'))
  }

  query<K, V>(table: Queryable<Windowed<K>, V>): WindowQuery<K, V>
  query<K, V>(table: Queryable<K, V>): TableQuery<K, V>
  query(_table: Queryable<unknown, unknown>): unknown {
    return assert(false, 'not yet')
  }

  /** Asked of the log: committed offsets against high watermarks, of every input partition. */
  lag(): Promise<readonly InputLag[]> {
    return Promise.resolve([])
  }

  /** Calls `listener` at every event of this kind; the answer ends it. */
  on<Kind extends keyof StreamsEvents>(
    _kind: Kind,
    _listener: (event: StreamsEvents[Kind]) => void,
  ): () => void {
    return () => {}
  }
}
