/**
 * Writes an LZ4 frame as Java's clients write and read it; the format is told in `lz4.ts`.
 *
 *     04 22 4d 18 │ 60 │ 40 │ 82 │ for each 64 kB: length, block │ 00 00 00 00
 *
 * 60: version 1, every block by itself, no checksums. 40: blocks of at most 64 kB. 82: the second byte of the xxHash32 of
 * these two, which Java checks. A block that would not become smaller is there as it was.
 *
 *     "aaaaaaaaaaaaaaaaaaab":  1a 61 01 00 │ 50 61 61 61 61 62
 *
 * Invariant: a block's last 5 bytes are literals, and its last copy begins at least 12 bytes before its end, as decoders may
 * assume.
 */
import { asBuffer } from '#system'
import { Buffer } from 'node:buffer'

import { BLOCK_BYTES_MAX, findRepeats, REPEAT_BYTES_MIN, repeats } from './repeats.ts'
import { copyLiteral } from './snappy.ts'

const FRAME_HEADER = Buffer.from('04224d18604082', 'hex')
const END_MARK_BYTES = 4
const LENGTH_BYTES = 4
const PLAIN_FLAG = 0x80000000
const LAST_LITERALS = 5
const LAST_COPY_BEFORE_END = 12

export function lz4Compress(bytes: Uint8Array): Uint8Array {
  const source = asBuffer(bytes)
  const blocks = Math.ceil(source.length / BLOCK_BYTES_MAX)
  // Only while a block is being written it may be larger than it was: by the lengths of its literals.
  const bytesMax = FRAME_HEADER.length + source.length + blocks * LENGTH_BYTES + END_MARK_BYTES
  const target = Buffer.allocUnsafe(bytesMax + Math.ceil(BLOCK_BYTES_MAX / 255) + 16)
  let out = FRAME_HEADER.copy(target)
  for (let start = 0; start < source.length; start += BLOCK_BYTES_MAX) {
    const end = Math.min(start + BLOCK_BYTES_MAX, source.length)
    const blockAt = out + LENGTH_BYTES
    const blockEnd = writeBlock(source, start, end, target, blockAt)
    const isSmaller = blockEnd - blockAt < end - start
    const word = isSmaller ? blockEnd - blockAt : end - start + PLAIN_FLAG
    target.writeUInt32LE(word, out)
    out = isSmaller ? blockEnd : blockAt + source.copy(target, blockAt, start, end)
  }
  target.writeUInt32LE(0, out)
  return target.subarray(0, out + END_MARK_BYTES)
}

function writeBlock(
  source: Buffer,
  start: number,
  end: number,
  target: Buffer,
  from: number,
): number {
  const count = findRepeats(source, start, end, LAST_COPY_BEFORE_END, LAST_LITERALS)
  let out = from
  let at = start
  for (let n = 0; n < count; n += 3) {
    const begin = start + (repeats[n] as number)
    const back = repeats[n + 1] as number
    const length = repeats[n + 2] as number
    const more = length - REPEAT_BYTES_MIN
    out = writeLiterals(source, at, begin - at, Math.min(more, 15), target, out)
    target[out++] = back & 0xff
    target[out++] = back >>> 8
    if (more >= 15) out = writeRest(more - 15, target, out)
    at = begin + length
  }
  return writeLiterals(source, at, end - at, 0, target, out)
}

/** The token, with the nibble of the copy that follows, and the literals. */
function writeLiterals(
  source: Buffer,
  at: number,
  length: number,
  copyNibble: number,
  target: Buffer,
  from: number,
): number {
  let out = from
  target[out++] = (Math.min(length, 15) << 4) | copyNibble
  if (length >= 15) out = writeRest(length - 15, target, out)
  return copyLiteral(source, at, length, target, out)
}

function writeRest(length: number, target: Buffer, from: number): number {
  let out = from
  let rest = length
  for (; rest >= 255; rest -= 255) target[out++] = 255
  target[out++] = rest
  return out
}
