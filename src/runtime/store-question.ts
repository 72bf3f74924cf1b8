/**
 * A query as plain data, so that it can cross to the thread that has the store, and how a worker answers it.
 *
 * Invariant: an answer is what one backend held at the positions it names or later, never an uncommitted layer (R16).
 */
import type { FetchProgress, TopicPartition } from '#log'
import { parseWindowStoreKey, type StateStore, type StoreEntry, windowStoreKey } from '#state'
import { delay } from '#system'
import type { RunningTask } from './running-task.ts'
import type { Machine } from './streams-options.ts'
import { TaskError } from './task-error.ts'
import type { TaskSet } from './task-set.ts'

export type StoreSubject =
  | { readonly kind: 'get'; readonly key: Uint8Array }
  | {
      readonly kind: 'range'
      readonly from: Uint8Array | undefined
      /** Included. */
      readonly to: Uint8Array | undefined
      readonly reverse: boolean
      readonly rowsMax: number
    }
  | {
      readonly kind: 'windows'
      /** Of one key, or of all. */
      readonly key: Uint8Array | undefined
      readonly fromMs: number
      readonly toMs: number
      readonly rowsMax: number
    }

export interface StoreQuestion {
  /** Tasks that may answer: one for a point, every one of the sub-topology for a range. */
  readonly taskIds: readonly string[]
  readonly store: string
  readonly subject: StoreSubject
  readonly minPositions: Readonly<Record<string, number>>
  readonly waitMs: number
  readonly allowStale: boolean
}

/** Rows as the backend has them. */
export interface StoreReply {
  readonly taskId: string
  readonly rows: readonly StoreEntry[]
  readonly positions: Readonly<Record<string, number>>
  readonly lagRecords: number
  readonly stale: boolean
}

export interface Answering {
  readonly tasks: TaskSet
  readonly machine: Machine
  readonly progressOf: (input: TopicPartition) => FetchProgress | undefined
}

/** One reply a task that is here; tasks that are elsewhere are left out. */
export async function answerQuestion(
  answering: Answering,
  question: StoreQuestion,
): Promise<readonly StoreReply[]> {
  const replies: StoreReply[] = []
  for (const taskId of question.taskIds) {
    const running = answering.tasks.running.get(taskId)
    const reply =
      running === undefined
        ? await answerStale(answering, taskId, question)
        : await answerRunning(answering, running, question)
    if (reply !== undefined) replies.push(reply)
  }
  return replies
}

async function answerRunning(
  { machine, progressOf }: Answering,
  running: RunningTask,
  question: StoreQuestion,
): Promise<StoreReply | undefined> {
  const store = running.stores.get(question.store)?.store
  if (store === undefined) return undefined
  if (!running.isAt(question.minPositions)) {
    const patience = new AbortController()
    const reached = running.reached(question.minPositions, patience.signal)
    await Promise.race([reached, delay(machine.clock, question.waitMs, patience.signal)])
    patience.abort()
    if (!running.isAt(question.minPositions)) throw tooStale(running.taskId, question)
  }
  // Read before the rows are: the rows are of these positions or later ones.
  const positions = running.appliedInputs
  const lagRecords = running.inputs.reduce((sum, input) => {
    const end = progressOf(input)?.highWatermark ?? 0
    return sum + Math.max(0, end - (positions[`${input.topic}-${input.partition}`] ?? 0))
  }, 0)
  const rows = await readRows(store, question.subject)
  return { taskId: running.taskId, rows, positions, lagRecords, stale: false }
}

/** A standby or a store that is being restored says how far it is in input only as of its last commit by an owner. */
async function answerStale(
  { tasks }: Answering,
  taskId: string,
  question: StoreQuestion,
): Promise<StoreReply | undefined> {
  if (!question.allowStale) return undefined
  for (const { recovery } of tasks.recoveries()) {
    if (recovery.identity.taskId !== taskId) continue
    const store = recovery.stores.get(question.store)?.store
    if (store === undefined) return undefined
    const positions = store.header()?.appliedInputs ?? {}
    const rows = await readRows(store, question.subject)
    const lagRecords = recovery
      .metrics()
      .filter((progress) => progress.store === question.store)
      .reduce(
        (sum, { totalRecords, doneRecords }) => sum + (totalRecords ?? doneRecords) - doneRecords,
        0,
      )
    return { taskId, rows, positions, lagRecords, stale: true }
  }
  return undefined
}

function tooStale(taskId: string, { minPositions, waitMs }: StoreQuestion): TaskError {
  const wanted = Object.entries(minPositions)
    .map(([key, offset]) => `${key} at ${offset}`)
    .join(', ')
  const message = `task ${taskId} has not applied ${wanted} within ${waitMs} ms: ask again later`
  return new TaskError('QUERY_STALE', message, { taskId })
}

async function readRows(store: StateStore, subject: StoreSubject): Promise<readonly StoreEntry[]> {
  switch (subject.kind) {
    case 'get': {
      const value = store.get(subject.key)
      return value === undefined ? [] : [{ key: subject.key, value }]
    }
    case 'range':
      return readRange(store, subject)
    case 'windows':
      return readWindows(store, subject)
  }
}

async function readRange(
  store: StateStore,
  { from, to, reverse, rowsMax }: StoreSubject & { kind: 'range' },
): Promise<readonly StoreEntry[]> {
  const rows: StoreEntry[] = []
  const chunks = store.scan({
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to: after(to) }),
    reverse,
    chunkRows: Math.min(rowsMax, 1_000),
  })
  for await (const chunk of chunks) {
    rows.push(...chunk.slice(0, rowsMax - rows.length))
    if (rows.length >= rowsMax) break
  }
  return rows
}

/** By start, then key. Rows lie by key first, so without a key all of them are looked at. */
async function readWindows(
  store: StateStore,
  { key, fromMs, toMs, rowsMax }: StoreSubject & { kind: 'windows' },
): Promise<readonly StoreEntry[]> {
  const bounds =
    key === undefined
      ? {}
      : { from: windowStoreKey(key, fromMs), to: after(windowStoreKey(key, toMs)) }
  const found: { readonly startMs: number; readonly row: StoreEntry }[] = []
  for await (const chunk of store.scan(bounds)) {
    for (const row of chunk) {
      const parsed = parseWindowStoreKey(row.key)
      if (parsed === undefined || parsed.startMs < fromMs || parsed.startMs > toMs) continue
      // A longer key may lie between two windows of a shorter one.
      if (key !== undefined && parsed.key.length !== key.length) continue
      found.push({ startMs: parsed.startMs, row })
    }
  }
  found.sort((a, b) => a.startMs - b.startMs)
  return found.slice(0, rowsMax).map(({ row }) => row)
}

/** The first key after `key`, in byte order. */
function after(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1)
  next.set(key)
  return next
}
