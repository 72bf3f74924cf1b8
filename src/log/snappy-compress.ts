/**
 * Writes snappy in the frame of blocks that Java's clients write and read; the format is told in `snappy.ts`.
 *
 *     82 "SNAPPY" 00 │ version int32 1 │ oldest reader int32 1 │ for each 64 kB: length int32, block
 *
 *     "aaaaaaaaaa":  0a │ 00 61 │ 15 01
 *
 * Invariant: what comes out becomes the same bytes in `snappy.ts` and in Java's SnappyInputStream.
 */
import { asBuffer } from '#system'
import { Buffer } from 'node:buffer'

import { BLOCK_BYTES_MAX, findRepeats, REPEAT_BYTES_MIN, repeats } from './repeats.ts'
import { copyLiteral } from './snappy.ts'

const FRAME_HEADER = Buffer.from('82534e41505059000000000100000001', 'hex')
const LENGTH_BYTES = 4
const COPY_BYTES_MAX = 64
/** A copy of 4 to 11 bytes from less than 2,048 back takes two bytes instead of three. */
const SHORT_COPY_BYTES_MAX = 11
const SHORT_COPY_BACK_MAX = 2_047

export function snappyCompress(bytes: Uint8Array): Uint8Array {
  const source = asBuffer(bytes)
  const blocks = Math.ceil(source.length / BLOCK_BYTES_MAX)
  // A block's length, its size as varint and its last literal's head; a literal and a copy between them grow 65 bytes by one.
  const heads = FRAME_HEADER.length + blocks * (LENGTH_BYTES + 3 + 3)
  const target = Buffer.allocUnsafe(heads + source.length + (source.length >>> 5))
  let out = FRAME_HEADER.copy(target)
  for (let start = 0; start < source.length; start += BLOCK_BYTES_MAX) {
    const end = Math.min(start + BLOCK_BYTES_MAX, source.length)
    const lengthAt = out
    out = writeBlock(source, start, end, target, out + LENGTH_BYTES)
    target.writeUInt32BE(out - lengthAt - LENGTH_BYTES, lengthAt)
  }
  return target.subarray(0, out)
}

function writeBlock(
  source: Buffer,
  start: number,
  end: number,
  target: Buffer,
  from: number,
): number {
  let out = from
  let size = end - start
  for (; size > 0x7f; size >>>= 7) target[out++] = (size & 0x7f) | 0x80
  target[out++] = size
  const count = findRepeats(source, start, end, REPEAT_BYTES_MIN, 0)
  let at = start
  for (let n = 0; n < count; n += 3) {
    const begin = start + (repeats[n] as number)
    const back = repeats[n + 1] as number
    const length = repeats[n + 2] as number
    if (begin > at) out = writeLiteral(source, at, begin - at, target, out)
    out = writeCopies(back, length, target, out)
    at = begin + length
  }
  return end > at ? writeLiteral(source, at, end - at, target, out) : out
}

function writeLiteral(
  source: Buffer,
  at: number,
  length: number,
  target: Buffer,
  from: number,
): number {
  let out = from
  const code = length - 1
  if (code < 60) {
    target[out++] = code << 2
  } else if (code < 256) {
    target[out++] = 60 << 2
    target[out++] = code
  } else {
    target[out++] = 61 << 2
    target[out++] = code & 0xff
    target[out++] = code >>> 8
  }
  return copyLiteral(source, at, length, target, out)
}

function writeCopies(back: number, length: number, target: Buffer, from: number): number {
  let out = from
  let rest = length
  // What is left over is never shorter than a copy can be.
  while (rest > COPY_BYTES_MAX) {
    const part = rest < COPY_BYTES_MAX + REPEAT_BYTES_MIN ? rest - REPEAT_BYTES_MIN : COPY_BYTES_MAX
    target[out++] = ((part - 1) << 2) | 2
    target[out++] = back & 0xff
    target[out++] = back >>> 8
    rest -= part
  }
  if (rest <= SHORT_COPY_BYTES_MAX && back <= SHORT_COPY_BACK_MAX) {
    target[out++] = ((back >>> 8) << 5) | ((rest - 4) << 2) | 1
    target[out++] = back & 0xff
  } else {
    target[out++] = ((rest - 1) << 2) | 2
    target[out++] = back & 0xff
    target[out++] = back >>> 8
  }
  return out
}
