/** One thing that micro benches measure. */

/** Something that is done over and over. */
export interface Piece {
  readonly name: string
  /** What one call does so many of. */
  readonly of: string
  readonly count: number
  /** Gives the same number whenever it is called: what was done. */
  run(): number | Promise<number>
}

/** Pieces, and what they hold open. */
export interface Pieces {
  readonly pieces: readonly Piece[]
  close(): Promise<void>
}
