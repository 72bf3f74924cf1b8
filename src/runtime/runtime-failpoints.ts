/**
 * Where a drill may kill the runtime. Log drivers have their own list for what happens inside a commit.
 *
 * Invariant: every name here is passed in the course of a run that processes, commits, restores, closes a window and stops.
 */
export const RUNTIME_FAILPOINTS = [
  /** Records were processed into the open layer. */
  'runtime:processing',
  /** Sealed, nothing sent. */
  'runtime:after-seal',
  /** Committed; one store has applied, another of the same commit has not. */
  'runtime:between-applies',
  'runtime:after-apply',
  'runtime:before-release',
  /** A batch of a restore was applied, or a store was where its changelog is. */
  'runtime:restore',
  /** A tick has closed what was due, and nothing of it is sealed. */
  /** Final results of closed windows are in the open layer. */
  'runtime:window-close',
  /** Everything is committed, nothing closed. */
  'runtime:shutdown',
] as const

export type RuntimeFailpoint = (typeof RUNTIME_FAILPOINTS)[number]
