/**
 * The typed side of a query: encodes keys, asks, decodes rows with the store's own serdes.
 *
 * Invariant: a key is looked for in the one task that owns its partition; a range says so if a partition of it is elsewhere.
 */
import { partitionFor } from '#log'
import { parseTimestamped, parseWindowStoreKey, windowStoreKey, type StoreEntry } from '#state'
import { assert } from '#system'
import { TopologyError, type StoreSpec, type Topology } from '#topology'
import { taskCountOf, taskIdOf } from './internal-names.ts'
import type {
  Answer,
  QueryOptions,
  TableQuery,
  TableRow,
  WindowBounds,
  WindowQuery,
  WindowRow,
} from './query.ts'
import type { StoreQuestion, StoreReply, StoreSubject } from './store-question.ts'
import { TaskError } from './task-error.ts'
import type { PartitionCounts } from './task-options.ts'

const ROWS_MAX = 1_000
const WAIT_MS = 5_000

export interface QuerySide {
  readonly topology: Topology
  readonly partitionCounts: PartitionCounts
  ask(question: StoreQuestion): Promise<readonly StoreReply[]>
  /** Where a task's owner answers, if it told. */
  ownerOf(taskId: string): string | undefined
}

type TableSpec = StoreSpec & { readonly kind: 'key-value' | 'window' }

export function queryHandle(
  side: QuerySide,
  storeName: string,
): TableQuery<unknown, unknown> & WindowQuery<unknown, unknown> {
  const handle = new QueryHandle(side, storeName)
  const isWindowed = handle.spec.kind === 'window'
  return {
    get: (key: unknown, second?: number | QueryOptions, third?: QueryOptions) =>
      isWindowed || typeof second === 'number'
        ? handle.getWindow(key, second, third)
        : handle.get(key, second),
    range: (bounds, options) => handle.range(bounds, options),
    fetch: (key, bounds, options) => handle.windows(key, bounds, options),
    windows: (bounds, options) => handle.windows(undefined, bounds, options),
  }
}

class QueryHandle {
  readonly spec: TableSpec
  readonly #side: QuerySide
  /** Every task of the store's sub-topology. */
  readonly #taskIds: readonly string[]

  constructor(side: QuerySide, storeName: string) {
    this.#side = side
    const { topology, partitionCounts } = side
    for (const subTopology of topology.subTopologies) {
      const spec = subTopology.stores.find(({ name }) => name === storeName)
      if (spec === undefined) continue
      if (spec.kind !== 'key-value' && spec.kind !== 'window') {
        throw new TopologyError('UNSUPPORTED', `store ${storeName} (${spec.kind}) has no query`)
      }
      const tasks = taskCountOf(topology, subTopology, partitionCounts)
      this.spec = spec
      this.#taskIds = Array.from({ length: tasks }, (_, partition) =>
        taskIdOf(subTopology.number, partition),
      )
      return
    }
    const { applicationId } = topology
    throw new TopologyError('STORE_UNKNOWN', `${applicationId} has no store ${storeName}`)
  }

  async get(key: unknown, options: QueryOptions = {}): Promise<Answer<unknown>> {
    assert(this.spec.kind === 'key-value', `${this.spec.name} is windowed: name the window`)
    const bytes = this.spec.key.encode(key)
    return this.#point({ kind: 'get', key: bytes }, bytes, options)
  }

  async getWindow(
    key: unknown,
    windowStartMs: number | QueryOptions | undefined,
    options: QueryOptions = {},
  ): Promise<Answer<unknown>> {
    assert(typeof windowStartMs === 'number', `${this.spec.name} is windowed: name the window`)
    const bytes = this.spec.key.encode(key)
    return this.#point({ kind: 'get', key: windowStoreKey(bytes, windowStartMs) }, bytes, options)
  }

  async range(
    bounds: {
      readonly from?: unknown
      readonly to?: unknown
      readonly reverse?: boolean
      readonly rowsMax?: number
    } = {},
    options: QueryOptions = {},
  ): Promise<Answer<readonly TableRow<unknown, unknown>[]>> {
    assert(this.spec.kind === 'key-value', `${this.spec.name} is windowed: ask for windows`)
    const { from, to, reverse = false, rowsMax = ROWS_MAX } = bounds
    const bytesOf = (key: unknown): Uint8Array | undefined =>
      key === undefined ? undefined : this.spec.key.encode(key)
    const subject = {
      kind: 'range',
      from: bytesOf(from),
      to: bytesOf(to),
      reverse,
      rowsMax,
    } as const
    const replies = await this.#askAll(subject, this.#taskIds, options)
    const rows = replies.flatMap((reply) => reply.rows.map((row) => this.#tableRow(row)))
    return answerOf(replies, rows.slice(0, rowsMax))
  }

  async windows(
    key: unknown,
    { fromMs = 0, toMs = Number.MAX_SAFE_INTEGER, rowsMax = ROWS_MAX }: WindowBounds = {},
    options: QueryOptions = {},
  ): Promise<Answer<readonly WindowRow<unknown, unknown>[]>> {
    assert(this.spec.kind === 'window', `${this.spec.name} is not windowed: ask for a range`)
    const bytes = key === undefined ? undefined : this.spec.key.encode(key)
    const subject = { kind: 'windows', key: bytes, fromMs, toMs, rowsMax } as const
    const taskIds = bytes === undefined ? this.#taskIds : [this.#taskOf(bytes)]
    const replies = await this.#askAll(subject, taskIds, options)
    const rows = replies
      .flatMap((reply) => reply.rows.map((row) => this.#windowRow(row)))
      .sort((a, b) => a.windowStartMs - b.windowStartMs)
    return answerOf(replies, rows.slice(0, rowsMax))
  }

  async #point(
    subject: StoreSubject,
    keyBytes: Uint8Array,
    options: QueryOptions,
  ): Promise<Answer<unknown>> {
    const replies = await this.#askAll(subject, [this.#taskOf(keyBytes)], options)
    const row = replies[0]?.rows[0]
    return answerOf(replies, row === undefined ? undefined : this.#valueOf(row).value)
  }

  /** Every task must answer, from one process or another: a part is not passed off as the whole unless it was asked for. */
  async #askAll(
    subject: StoreSubject,
    taskIds: readonly string[],
    options: QueryOptions,
  ): Promise<readonly StoreReply[]> {
    const { minPositions = {}, waitMs = WAIT_MS, allowStale = false, localOnly = false } = options
    const store = this.spec.name
    const replies = await this.#side.ask({
      taskIds,
      store,
      subject,
      minPositions,
      waitMs,
      allowStale,
    })
    for (const taskId of localOnly ? [] : taskIds) {
      if (!replies.some((reply) => reply.taskId === taskId)) throw this.#notHere(taskId)
    }
    return replies
  }

  #notHere(taskId: string): TaskError {
    const owner = this.#side.ownerOf(taskId)
    const where = owner === undefined ? 'not in this process' : `at ${owner}`
    const message = `task ${taskId}, which has that part of store ${this.spec.name}, is ${where} or not restored yet`
    return new TaskError('QUERY_NOT_HERE', message, { taskId })
  }

  #taskOf(keyBytes: Uint8Array): string {
    const taskId = this.#taskIds[partitionFor(keyBytes, this.#taskIds.length)]
    assert(taskId !== undefined, 'a partition is one of the tasks')
    return taskId
  }

  #tableRow(row: StoreEntry): TableRow<unknown, unknown> {
    return { key: this.spec.key.decode(row.key), ...this.#valueOf(row) }
  }

  #windowRow(row: StoreEntry): WindowRow<unknown, unknown> {
    const parsed = parseWindowStoreKey(row.key)
    assert(parsed !== undefined && this.spec.kind === 'window', 'only windows were asked for')
    return {
      key: this.spec.key.decode(parsed.key),
      windowStartMs: parsed.startMs,
      windowEndMs: parsed.startMs + this.spec.sizeMs,
      ...this.#valueOf(row),
    }
  }

  #valueOf({ value }: StoreEntry): { readonly value: unknown; readonly timestampMs: number } {
    const isTimestamped = this.spec.kind === 'window' || this.spec.timestamped
    if (!isTimestamped) return { value: this.spec.value.decode(value), timestampMs: 0 }
    const row = parseTimestamped(value)
    return { value: this.spec.value.decode(row.value), timestampMs: row.timestampMs }
  }
}

function answerOf<T>(replies: readonly StoreReply[], value: T): Answer<T> {
  return {
    value,
    positions: Object.assign({}, ...replies.map(({ positions }) => positions)) as Record<
      string,
      number
    >,
    tasks: replies.map(({ taskId }) => taskId),
    lagRecords: replies.reduce((sum, { lagRecords }) => sum + lagRecords, 0),
    stale: replies.some(({ stale }) => stale),
  }
}
