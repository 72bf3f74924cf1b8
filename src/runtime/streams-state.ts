/**
 * The life of a `Streams` handle, as a table.
 *
 *     created → rebalancing ⇄ running → pending-shutdown → not-running
 *                      ╰────────┴──────────────┴→ error
 *
 * Invariant: a step that is not in the table is our own mistake and is asserted.
 */
import { assert } from '#system'

export type StreamsState =
  | 'created'
  /** Tasks are being assigned, moved or restored. */
  | 'rebalancing'
  | 'running'
  | 'pending-shutdown'
  | 'not-running'
  /** Stopped by an error that nobody but a person can mend; `failure` says which. */
  | 'error'

const NEXT = {
  created: ['rebalancing', 'pending-shutdown', 'error'],
  rebalancing: ['running', 'pending-shutdown', 'error'],
  running: ['rebalancing', 'pending-shutdown', 'error'],
  'pending-shutdown': ['not-running', 'error'],
  'not-running': [],
  error: ['pending-shutdown'],
} as const satisfies Record<StreamsState, readonly StreamsState[]>

export function nextStreamsState(from: StreamsState, to: StreamsState): StreamsState {
  const legal: readonly StreamsState[] = NEXT[from]
  assert(legal.includes(to), `streams: ${from} → ${to} is not a step`)
  return to
}
