/**
 * What a batch's records may be compressed with: the codes of the format, and the codecs this build has.
 *
 * Invariant: decompression never yields more than `decompressedBytesMax`, whatever the bytes claim.
 */
import { gunzipSync, zstdDecompressSync } from 'node:zlib'

import { lz4Compress } from './lz4-compress.ts'
import { lz4Decompress } from './lz4.ts'
import { snappyCompress } from './snappy-compress.ts'
import { snappyDecompress } from './snappy.ts'

/** In the order of the format's codes, 0 to 4. */
export const COMPRESSIONS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
export type Compression = (typeof COMPRESSIONS)[number]

export const decompressedBytesMax: number = 256 * 1024 * 1024

export function compress(compression: Exclude<Compression, 'none'>, bytes: Uint8Array): Uint8Array {
  // Bun's types want to know that the memory is not shared; ours never is.
  const own = bytes as Uint8Array<ArrayBuffer>
  switch (compression) {
    case 'gzip':
      return Bun.gzipSync(own)
    case 'zstd':
      return Bun.zstdCompressSync(own)
    case 'lz4':
      return lz4Compress(own)
    case 'snappy':
      return snappyCompress(own)
  }
}

/** Throws whatever the codec throws when the bytes are damaged or would become too many. */
export function decompress(
  compression: Exclude<Compression, 'none'>,
  bytes: Uint8Array,
): Uint8Array {
  switch (compression) {
    case 'gzip':
      return gunzipSync(bytes, { maxOutputLength: decompressedBytesMax })
    case 'zstd':
      return zstdDecompressSync(bytes, { maxOutputLength: decompressedBytesMax })
    case 'lz4':
      return lz4Decompress(bytes, decompressedBytesMax)
    case 'snappy':
      return snappyDecompress(bytes, decompressedBytesMax)
  }
}
