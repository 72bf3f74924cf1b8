/**
 * A key in a window: the key of every windowed table.
 *
 * Invariant: two windowed keys are the same row iff key and window start are equal; identity says nothing.
 */
export interface TimeWindow {
  /** Included. */
  readonly startMs: number
  /** Not included. */
  readonly endMs: number
}

export interface Windowed<K> {
  readonly key: K
  readonly window: TimeWindow
}
