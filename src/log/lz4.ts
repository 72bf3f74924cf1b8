/**
 * Reads an LZ4 frame, which is how Kafka keeps LZ4.
 *
 *     04 22 4d 18 │ flags │ block size code │ [content size, 8 bytes] │ checksum of these │ blocks │ 00 00 00 00 │ [checksum]
 *
 * A block is its length (little-endian; the top bit says: not compressed), its bytes, and a checksum if the flags say so.
 * Compressed bytes are sequences: a token of two nibbles, literals, and a copy from what was given out before.
 *
 *     token llllmmmm │ [l = 15: bytes are added until one is below 255] │ l literals │ offset uint16 │ [m = 15: the same]
 *
 * and m + 4 bytes are copied from that far back; the last sequence ends after its literals.
 *
 *     "aaaaaaaaaaaaaab":  19 61 01 00 │ 10 62      a literal, thirteen (9 + 4) from one back, a literal
 *
 * The frame's checksums are not looked at: the batch's own has covered every byte of it.
 *
 * This is own code because the client's WebAssembly codec never works again after one damaged block, and takes any size.
 *
 * Invariant: no byte outside of the input is read, and the size is known, and was allowed, before room is made for it.
 */
import { asBuffer } from '#system'
import { Buffer } from 'node:buffer'

import { LogError } from './log.ts'
import { copyBack, copyLiteral } from './snappy.ts'

const FRAME_MAGIC = 0x184d2204
const CONTENT_SIZE_FLAG = 0x08
const BLOCK_CHECKSUM_FLAG = 0x10
const CONTENT_CHECKSUM_FLAG = 0x04
const DICTIONARY_FLAG = 0x01
const OFFSET_BYTES = 2
const MATCH_BYTES_MIN = 4
/** A nibble with this is not the whole length. */
const LENGTH_GOES_ON = 15

interface Block {
  readonly start: number
  readonly end: number
  readonly compressed: boolean
}

/** LOG_CORRUPT if the bytes are damaged, or would become more than `bytesMax`. */
export function lz4Decompress(bytes: Uint8Array, bytesMax: number): Uint8Array {
  const source = asBuffer(bytes)
  const blocks = blocksOf(source)
  let sizeBytes = 0
  for (const block of blocks) sizeBytes += sizeOf(source, block)
  if (sizeBytes > bytesMax) throw corrupt(`${sizeBytes} bytes are too many`)
  const target = Buffer.allocUnsafe(sizeBytes)
  let out = 0
  for (const block of blocks) {
    out = block.compressed
      ? readBlock(source, block, target, out)
      : out + source.copy(target, out, block.start, block.end)
  }
  return target
}

function blocksOf(source: Buffer): readonly Block[] {
  if (source.length < 7 || source.readUInt32LE(0) !== FRAME_MAGIC) throw corrupt('this is no frame')
  const flags = source[4] as number
  // Version 1 is the only one; a dictionary is nothing that Kafka could give.
  if (flags >>> 6 !== 1 || flags & DICTIONARY_FLAG) throw corrupt(`flags ${flags} are not known`)
  const checksumBytes = flags & BLOCK_CHECKSUM_FLAG ? 4 : 0
  const blocks: Block[] = []
  let at = flags & CONTENT_SIZE_FLAG ? 15 : 7
  for (;;) {
    if (at + 4 > source.length) throw corrupt('the frame has no end')
    const word = source.readUInt32LE(at)
    at += 4
    if (word === 0) break
    const end = at + (word & 0x7fffffff)
    if (end > source.length) throw corrupt('a block is cut off')
    blocks.push({ start: at, end, compressed: word < 0x80000000 })
    at = end + checksumBytes
  }
  at += flags & CONTENT_CHECKSUM_FLAG ? 4 : 0
  if (at !== source.length) throw corrupt('there are bytes behind the frame')
  return blocks
}

/** What a block becomes, by its lengths alone; every one of them lies inside of it. */
function sizeOf(source: Buffer, { start, end, compressed }: Block): number {
  if (!compressed) return end - start
  let size = 0
  let at = start
  while (at < end) {
    const token = source[at++] as number
    const literals = lengthAt(token >>> 4, source, at, end)
    at += lengthBytes(literals) + literals
    size += literals
    if (at === end) return size
    at += OFFSET_BYTES
    const match = lengthAt(token & 15, source, at, end)
    at += lengthBytes(match)
    size += match + MATCH_BYTES_MIN
  }
  throw corrupt('a block ends inside of a sequence')
}

/** `sizeOf` has seen this block: its lengths are right, only the offsets are not yet known to be. */
function readBlock(source: Buffer, { start, end }: Block, target: Buffer, from: number): number {
  let at = start
  let out = from
  for (;;) {
    const token = source[at++] as number
    const literals = lengthAt(token >>> 4, source, at, end)
    at += lengthBytes(literals)
    out = copyLiteral(source, at, literals, target, out)
    at += literals
    if (at === end) return out
    const offset = (source[at] as number) | ((source[at + 1] as number) << 8)
    at += OFFSET_BYTES
    const match = lengthAt(token & 15, source, at, end)
    at += lengthBytes(match)
    if (offset === 0 || offset > out) throw corrupt('a copy from before the beginning')
    out = copyBack(target, out, offset, match + MATCH_BYTES_MIN)
  }
}

/** The length that a nibble begins, and the bytes from `at` on go on with: to the first below 255, or to the block's end. */
function lengthAt(nibble: number, source: Buffer, at: number, end: number): number {
  let length = nibble
  if (nibble < LENGTH_GOES_ON) return length
  let next = at
  let more: number
  do {
    more = source[next++] as number
    length += more
  } while (more === 255 && next < end)
  return length
}

/** How many bytes behind the nibble it takes to tell of a length. */
function lengthBytes(length: number): number {
  return length < LENGTH_GOES_ON ? 0 : Math.floor((length - LENGTH_GOES_ON) / 255) + 1
}

function corrupt(what: string): LogError {
  return new LogError('LOG_CORRUPT', `lz4: ${what}`)
}
