/**
 * Finds where a block repeats itself: what the snappy and the LZ4 encoder share. Greedy, one candidate a place, as both
 * formats' own fast encoders do it; the more often nothing is found, the larger the steps.
 *
 * Invariant: repeats are in order and do not overlap, each at least 4 bytes long, from at most 65,535 bytes back and from
 * within the block.
 */
import type { Buffer } from 'node:buffer'

/** As much as an offset of two bytes reaches. */
export const BLOCK_BYTES_MAX = 65_536
export const REPEAT_BYTES_MIN = 4

const TABLE_BITS_MAX = 14
const TABLE_BITS_MIN = 8
/** So many misses, and the step grows by one. */
const STEP_SHIFT = 5

/** Repeats of the block last searched, three numbers each: where, how many bytes back, how long. */
export const repeats: Int32Array = new Int32Array(3 * (BLOCK_BYTES_MAX / REPEAT_BYTES_MIN))
/** By the hash of four bytes: where they were last seen in the block. */
const seen = new Uint16Array(1 << TABLE_BITS_MAX)

/**
 * Fills `repeats` for `source[start, end)` and returns how many numbers are in it. Places count from `start`. No repeat begins
 * less than `beginBytes` before the end, nor ends less than `endBytes` before it.
 */
export function findRepeats(
  source: Buffer,
  start: number,
  end: number,
  beginBytes: number,
  endBytes: number,
): number {
  const length = end - start
  const beginMax = length - Math.max(beginBytes, REPEAT_BYTES_MIN)
  const endMax = length - endBytes
  // A small block gets a small table: clearing it would cost more than searching.
  let bits = TABLE_BITS_MIN
  while (bits < TABLE_BITS_MAX && 1 << bits < length) bits += 1
  const shift = 32 - bits
  seen.fill(0, 0, 1 << bits)
  const view = new DataView(source.buffer, source.byteOffset + start, length)
  let count = 0
  let misses = 1 << STEP_SHIFT
  // An empty place of the table says 0, which is right from the second byte on.
  let at = 1
  while (at <= beginMax) {
    const word = view.getInt32(at, true)
    const hash = Math.imul(word, 0x9e3779b1) >>> shift
    const from = seen[hash] as number
    seen[hash] = at
    if (view.getInt32(from, true) !== word) {
      at += misses >>> STEP_SHIFT
      misses += 1
      continue
    }
    const back = at - from
    let to = at + REPEAT_BYTES_MIN
    while (to + 4 <= endMax && view.getInt32(to, true) === view.getInt32(to - back, true)) to += 4
    while (to < endMax && view.getUint8(to) === view.getUint8(to - back)) to += 1
    repeats[count] = at
    repeats[count + 1] = back
    repeats[count + 2] = to - at
    count += 3
    // Two bytes before the end is where the next repeat most often begins.
    if (to <= beginMax) {
      seen[Math.imul(view.getInt32(to - 2, true), 0x9e3779b1) >>> shift] = to - 2
    }
    at = to
    misses = 1 << STEP_SHIFT
  }
  return count
}
