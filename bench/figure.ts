/** One measured number, with what is needed to believe it. */
export interface Figure {
  readonly bench: string
  readonly name: string
  readonly unit: string
  /** The median where there are several. */
  readonly value: number
  readonly min?: number
  readonly max?: number
  /** How often it was measured. */
  readonly repeats: number
  /** What the figure has to reach, or must not pass. */
  readonly floor?: number
  readonly ceiling?: number
  /** Of the work: equal on all sides that were compared, or the bench has thrown. */
  readonly checksum?: string
  readonly note?: string
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

/** A figure from repeated measurements. */
export function figureOf(
  values: readonly number[],
  rest: Omit<Figure, 'value' | 'min' | 'max' | 'repeats'>,
): Figure {
  return {
    ...rest,
    value: median(values),
    min: Math.min(...values),
    max: Math.max(...values),
    repeats: values.length,
  }
}

/** Undefined where nothing is asked of the figure. */
export function holds({ value, floor, ceiling }: Figure): boolean | undefined {
  if (floor === undefined && ceiling === undefined) return undefined
  return value >= (floor ?? -Infinity) && value <= (ceiling ?? Infinity)
}
