/** The codecs by themselves, against another implementation; the vectors of Kafka are in `record-batch.test.ts`. */
import { compressionsAlgorithms } from '@platformatic/kafka'
import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { Buffer } from 'node:buffer'

import { compress, decompress, decompressedBytesMax } from './compression.ts'
import { coded } from './log.contract/harness.ts'
import { lz4Decompress } from './lz4.ts'
import { snappyDecompress } from './snappy.ts'

/** Bytes by their digits; spaces are for the reader. */
const hex = (digits: string): Buffer => Buffer.from(digits.replaceAll(' ', ''), 'hex')
const frame = (block: Buffer): Buffer => {
  const size = Buffer.alloc(4)
  size.writeUInt32BE(block.length)
  return Buffer.concat([size, block])
}
/** What Java's clients put around snappy blocks. */
const xerial = (...blocks: readonly Buffer[]): Buffer =>
  Buffer.concat([hex('82534e415050590000000001 00000001'), ...blocks.map(frame)])
const LZ4_HEAD = hex('04224d186040 82')
const LZ4_END = Buffer.alloc(4)
const lz4Block = (block: Buffer, plain: boolean = false): Buffer => {
  const size = Buffer.alloc(4)
  size.writeUInt32LE(plain ? block.length + 0x80000000 : block.length)
  return Buffer.concat([size, block])
}

/** Texts that repeat near and far, and bytes that do not repeat. */
function samples(): readonly Buffer[] {
  const words = Array.from({ length: 30_000 }, (_, n) => `item-${(n * 7919) % 613} `)
  const noise = Buffer.alloc(70_000)
  let state = 1
  for (let n = 0; n < noise.length; n += 1) noise[n] = (state = Math.imul(state, 48_271)) >>> 24
  return [
    Buffer.alloc(0),
    Buffer.from('a'),
    Buffer.from('ab'.repeat(50)),
    Buffer.alloc(300_000, 'x'),
    Buffer.from(words.join('')),
    noise,
    Buffer.concat([noise, Buffer.alloc(5_000), noise]),
  ]
}

describe.each(['snappy', 'lz4'] as const)('%s', (name) => {
  const other = compressionsAlgorithms[name]
  const encoders = {
    own: (bytes: Buffer): Buffer => Buffer.from(compress(name, bytes)),
    other: (bytes: Buffer): Buffer => other.compressSync(bytes),
  }

  test('gives back what another implementation has compressed, and the other way round', () => {
    for (const sample of samples()) {
      expect(Buffer.from(decompress(name, encoders.other(sample))).equals(sample)).toBe(true)
      // That one fails at nothing.
      if (sample.length === 0) continue
      expect(Buffer.from(other.decompressSync(encoders.own(sample))).equals(sample)).toBe(true)
    }
  })

  test('gives back what it has compressed: pieces that repeat, at any distance and length (property)', () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.tuple(fc.nat(255), fc.nat(70_000)).map(([byte, size]) => Buffer.alloc(size, byte)),
      fc.tuple(fc.string(), fc.nat(400)).map(([text, times]) => Buffer.from(text.repeat(times))),
    )
    const order = fc.array(fc.nat(9), { maxLength: 40 })
    let longest = 0
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 5 }), order, (pieces, places) => {
        const chosen = places.map((place) => pieces[place % pieces.length] as Uint8Array)
        const sample = Buffer.concat(chosen)
        longest = Math.max(longest, sample.length)
        expect(Buffer.from(decompress(name, encoders.own(sample))).equals(sample)).toBe(true)
      }),
      { numRuns: 400 },
    )
    expect(longest).toBeGreaterThan(3 * 65_536)
  })

  test('gives back every size around those at which the format changes', () => {
    const random = Buffer.concat(samples().slice(-2))
    const text = samples()[4] as Buffer
    const around = (size: number): readonly number[] =>
      Array.from({ length: 9 }, (_, n) => size - 4 + n)
    const sizes = [
      ...Array.from({ length: 330 }, (_, n) => n),
      ...around(65_536),
      ...around(2 * 65_536),
    ]
    for (const size of sizes) {
      for (const source of [random, text, Buffer.alloc(size, 'x')]) {
        const sample = source.subarray(7, 7 + size)
        expect(Buffer.from(decompress(name, encoders.own(sample))).equals(sample)).toBe(true)
      }
    }
  })

  test('makes texts smaller, nearly as much as the other, and noise hardly larger', () => {
    const [, , , same, text, noise] = samples() as Buffer[]
    // One block: the other's blocks are larger, or know those before.
    for (const whole of [same, text] as Buffer[]) {
      const sample = whole.subarray(0, 65_536)
      const size = encoders.own(sample).length
      expect(size).toBeLessThan(sample.length / 4)
      expect(size).toBeLessThan(encoders.other(sample).length * 1.25)
    }
    const sizeOfNoise = encoders.own(noise as Buffer).length
    expect(sizeOfNoise).toBeLessThan((noise as Buffer).length * 1.01)
  })

  test.each(['own', 'other'] as const)('cut short at any length is damaged (%s)', (by) => {
    const compressed = encoders[by](
      Buffer.from('one two three one two three four five one two '.repeat(9)),
    )
    // The head of a frame alone is a snappy frame of nothing.
    for (let length = 0; length < compressed.length; length += 1) {
      if (by === 'own' && name === 'snappy' && length === 16) continue
      expect(() => decompress(name, compressed.subarray(0, length))).toThrow(
        coded('LOG_CORRUPT') as Error,
      )
    }
    expect(() => decompress(name, Buffer.concat([compressed, Buffer.alloc(1)]))).toThrow(
      coded('LOG_CORRUPT') as Error,
    )
  })

  test.each(['own', 'other'] as const)('goes on working after it met damage (%s)', (by) => {
    const sample = Buffer.from('x'.repeat(1_000))
    const compressed = encoders[by](sample)
    let damaged = 0
    for (let at = 0; at < compressed.length; at += 1) {
      const mutated = Buffer.from(compressed)
      mutated[at] = (mutated[at] as number) ^ 0xff
      try {
        decompress(name, mutated)
      } catch {
        damaged += 1
      }
      expect(Buffer.from(decompress(name, compressed)).equals(sample)).toBe(true)
    }
    expect(damaged).toBeGreaterThan(3)
  })
})

describe('more than the limit is refused before room is made for it', () => {
  const limit = 1_000
  const corrupt = coded('LOG_CORRUPT') as Error

  test('snappy: a block that says so, or blocks that together do', () => {
    const block = compressionsAlgorithms.snappy.compressSync(Buffer.alloc(600, 'x'))
    expect(snappyDecompress(block, limit)).toHaveLength(600)
    expect(() => snappyDecompress(block, 599)).toThrow(corrupt)
    expect(snappyDecompress(xerial(block, block), 1_200)).toHaveLength(1_200)
    expect(() => snappyDecompress(xerial(block, block), limit)).toThrow(corrupt)
    // 4 GB from nine bytes.
    const liar = hex('ffffffff0f 0061 1501')
    expect(() => snappyDecompress(liar, decompressedBytesMax)).toThrow(corrupt)
  })

  test('lz4: blocks are measured first', () => {
    const block = hex('1f6101 00' + 'ff'.repeat(20) + '00 1062')
    const bomb = Buffer.concat([LZ4_HEAD, lz4Block(block), LZ4_END])
    expect(lz4Decompress(bomb, 10_000).length).toBeGreaterThan(20 * 255)
    expect(() => lz4Decompress(bomb, limit)).toThrow(corrupt)
  })

  test('gzip and zstd: what 300 MB of zeros become', () => {
    const zeros = new Uint8Array(300 * 1024 * 1024)
    expect(() => decompress('gzip', Bun.gzipSync(zeros))).toThrow()
    expect(() => decompress('zstd', Bun.zstdCompressSync(zeros))).toThrow()
  })
})

describe('the format as it is told', () => {
  test('snappy: literal and copy, bare and framed', () => {
    const block = hex('0a 0061 1501')
    expect(Buffer.from(decompress('snappy', block)).toString()).toBe('a'.repeat(10))
    expect(Buffer.from(decompress('snappy', xerial(block, block))).toString()).toBe('a'.repeat(20))
  })

  test('lz4: sequences, a block as it is, and a copy from the block before', () => {
    const first = hex('19610100 1062')
    const plain = Buffer.from('cd')
    // No literal, 4 bytes from 5 back, then a literal.
    const linked = hex('000500 1065')
    const bytes = [LZ4_HEAD, lz4Block(first), lz4Block(plain, true), lz4Block(linked), LZ4_END]
    const text = Buffer.from(decompress('lz4', Buffer.concat(bytes))).toString()
    expect(text).toBe(`${'a'.repeat(14)}bcdaabce`)
  })

  test('lz4: content size and checksums may be there', () => {
    const head = hex('04224d18 7c40 0f00000000000000 00')
    const block = hex('19610100 1062')
    const checksum = Buffer.alloc(4)
    const bytes = [head, lz4Block(block), checksum, LZ4_END, checksum]
    expect(decompress('lz4', Buffer.concat(bytes))).toHaveLength(15)
  })

  test('a copy from before the beginning is damage', () => {
    expect(() => decompress('snappy', hex('0a 0061 1502'))).toThrow('before')
    const bytes = [LZ4_HEAD, lz4Block(hex('19610200 1062')), LZ4_END]
    expect(() => decompress('lz4', Buffer.concat(bytes))).toThrow('before')
  })
})
