/**
 * Reads snappy: a raw block, or the frame of blocks that Java's clients put around them.
 *
 * A block is the decompressed length as a varint, then elements. The low two bits of an element's first byte say what it is:
 *
 *     llllll00 [1–4 bytes]   literal of l + 1 bytes; l of 60 to 63: the length is in the next 1 to 4 bytes
 *     ooolll01 oooooooo      copy of l + 4 bytes from o bytes back
 *     llllll10 o o           copy of l + 1 bytes from o bytes back, o little-endian; with 11, o has four bytes
 *
 *     "aaaaaaaaaa":  0a │ 00 61 │ 15 01      ten bytes; a literal of one; nine (l = 5) from one back
 *
 * The frame is `82 SNAPPY 00`, two int32 of versions, and then, for each block, its length as int32 and the block.
 *
 * This is own code because the client's WebAssembly codec never works again after one damaged block, and takes any size.
 *
 * Invariant: no byte outside of the input is read, and no more is given out than the block's length says.
 */
import { asBuffer } from '#system'
import { Buffer } from 'node:buffer'

import { LogError } from './log.ts'

const FRAME_MAGIC = Buffer.from('82534e4150505900', 'hex')
const FRAME_HEADER_BYTES = 16
const CUT_OFF = 'a block ends inside of an element'

/** LOG_CORRUPT if the bytes are damaged, or would become more than `bytesMax`. */
export function snappyDecompress(bytes: Uint8Array, bytesMax: number): Uint8Array {
  const source = asBuffer(bytes)
  const isFramed = source.subarray(0, FRAME_MAGIC.length).equals(FRAME_MAGIC)
  const blocks = isFramed ? blocksOf(source) : [source]
  const sizes = blocks.map(sizeOf)
  const sizeBytes = sizes.reduce((sum, size) => sum + size, 0)
  if (sizeBytes > bytesMax) throw corrupt(`${sizeBytes} bytes are too many`)
  const target = Buffer.allocUnsafe(sizeBytes)
  let at = 0
  for (const [index, block] of blocks.entries()) {
    const size = sizes[index] as number
    readBlock(block, target.subarray(at, at + size))
    at += size
  }
  return target
}

function blocksOf(source: Buffer): readonly Buffer[] {
  const blocks: Buffer[] = []
  let at = FRAME_HEADER_BYTES
  if (at > source.length) throw corrupt('the head of the frame is cut off')
  while (at < source.length) {
    const start = at + 4
    const end = start <= source.length ? start + source.readUInt32BE(at) : Infinity
    if (end > source.length) throw corrupt('a block of the frame is cut off')
    blocks.push(source.subarray(start, end))
    at = end
  }
  return blocks
}

function sizeOf(block: Buffer): number {
  let size = 0
  for (let at = 0; at < 5; at += 1) {
    const byte = block[at]
    if (byte === undefined) break
    size += (byte & 0x7f) * 2 ** (7 * at)
    if (byte > 0x7f) continue
    // Three bytes give 64 at most: what promises more is damaged, and no room is made for it.
    if (size > block.length * 22) break
    return size
  }
  throw corrupt('a block has no length, or one that cannot be')
}

function readBlock(source: Buffer, target: Buffer): void {
  let at = 0
  while ((source[at++] as number) > 0x7f);
  let out = 0
  while (at < source.length) {
    const tag = source[at++] as number
    let length = (tag >>> 2) + 1
    if ((tag & 3) === 0) {
      if (length > 60) {
        const bytes = length - 60
        if (at + bytes > source.length) throw corrupt(CUT_OFF)
        length = source.readUIntLE(at, bytes) + 1
        at += bytes
      }
      if (at + length > source.length || out + length > target.length) throw corrupt(CUT_OFF)
      out = copyLiteral(source, at, length, target, out)
      at += length
      continue
    }
    let offset: number
    if ((tag & 3) === 1) {
      if (at === source.length) throw corrupt(CUT_OFF)
      length = ((tag >>> 2) & 7) + 4
      offset = ((tag >>> 5) << 8) | (source[at++] as number)
    } else {
      const bytes = (tag & 3) === 2 ? 2 : 4
      if (at + bytes > source.length) throw corrupt(CUT_OFF)
      offset = bytes === 2 ? source.readUInt16LE(at) : source.readUInt32LE(at)
      at += bytes
    }
    if (offset === 0 || offset > out) throw corrupt('a copy from before the beginning')
    if (out + length > target.length) throw corrupt('a block gives more than it said')
    out = copyBack(target, out, offset, length)
  }
  if (out !== target.length) throw corrupt('a block gives less than it said')
}

/** Copies `length` bytes of the input; there is room. Returns where they end. */
export function copyLiteral(
  source: Buffer,
  at: number,
  length: number,
  target: Buffer,
  out: number,
): number {
  if (length > 32) source.copy(target, out, at, at + length)
  else for (let n = 0; n < length; n += 1) target[out + n] = source[at + n] as number
  return out + length
}

/** Repeats what lies `offset` bytes back; a copy longer than that repeats itself. Returns where it ends. */
export function copyBack(target: Buffer, out: number, offset: number, length: number): number {
  if (length > 32 && offset >= length) target.copyWithin(out, out - offset, out - offset + length)
  else for (let n = 0; n < length; n += 1) target[out + n] = target[out + n - offset] as number
  return out + length
}

function corrupt(what: string): LogError {
  return new LogError('LOG_CORRUPT', `snappy: ${what}`)
}
