/**
 * Where the records of one partition went: offsets of the source to offsets of the target.
 *
 * The two differ by gaps: compaction, transaction markers and aborted records leave them in either log, and a target begins
 * at 0. What lies together in both is one segment, so a map between logs without gaps has one.
 *
 * Invariant: segments rise in both logs, so order is kept, and what was answered once stays so when more is added.
 */
import { assert } from '#system'

export class OffsetMap {
  readonly #sources: number[] = []
  readonly #targets: number[] = []
  readonly #counts: number[] = []

  get segments(): number {
    return this.#sources.length
  }

  /** One past the last offset, or 0. */
  get sourceEnd(): number {
    return (this.#sources.at(-1) ?? 0) + (this.#counts.at(-1) ?? 0)
  }

  get targetEnd(): number {
    return (this.#targets.at(-1) ?? 0) + (this.#counts.at(-1) ?? 0)
  }

  /** `count` records that lie one after the other in both. */
  add(source: number, target: number, count: number): void {
    const last = this.#sources.length - 1
    const isFirst = last < 0
    assert(isFirst || (source >= this.sourceEnd && target >= this.targetEnd), 'offsets rise')
    if (!isFirst && source === this.sourceEnd && target === this.targetEnd) {
      this.#counts[last] = (this.#counts[last] ?? 0) + count
      return
    }
    this.#sources.push(source)
    this.#targets.push(target)
    this.#counts.push(count)
  }

  /** Where the record at `source` is; undefined for an offset at which nothing was copied. */
  recordAt(source: number): number | undefined {
    const at = lastBelow(this.#sources, source + 1)
    const ahead = source - (this.#sources[at] ?? 0)
    if (at < 0 || ahead >= (this.#counts[at] ?? 0)) return undefined
    return (this.#targets[at] ?? 0) + ahead
  }

  /** Where the first record at or behind `source` is; undefined if nothing was copied from there on. */
  recordFrom(source: number): number | undefined {
    return this.recordAt(source) ?? this.#targets[lastBelow(this.#sources, source) + 1]
  }

  /** Whether something was copied to `target`. */
  isTarget(target: number): boolean {
    const at = lastBelow(this.#targets, target + 1)
    return at >= 0 && target - (this.#targets[at] ?? 0) < (this.#counts[at] ?? 0)
  }

  /**
   * The next offset of a reader whose next offset on the source is `source`: one past the record before it. There may be a gap
   * behind, as there is for a reader that stops in front of a marker.
   */
  position(source: number): number {
    const at = lastBelow(this.#sources, source)
    if (at < 0) return 0
    const count = Math.min(source - (this.#sources[at] ?? 0), this.#counts[at] ?? 0)
    return (this.#targets[at] ?? 0) + count
  }
}

/** Index of the last of these rising numbers that is below `limit`, or −1. */
function lastBelow(numbers: readonly number[], limit: number): number {
  let low = 0
  let high = numbers.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((numbers[middle] ?? 0) < limit) low = middle + 1
    else high = middle
  }
  return low - 1
}
