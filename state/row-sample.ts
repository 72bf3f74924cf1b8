/**
 * How many rows and bytes a store holds, when the backend cannot say: known from a sample of the keys, chosen by their hash.
 *
 * Invariant: the sample holds every key of the store whose hash is below `2^32 / 2^shift`, so repeated puts and removes count
 * as they should, and the store has about `2^shift` times as many rows. Up to `SAMPLE_MAX` rows the count is exact.
 *
 * Bytes: the shift (uint8), then for each sampled key its hash and the bytes of its row (uint32, little-endian).
 */
import { Buffer } from 'node:buffer'
import { asBuffer } from '#system'
import type { StoreChange } from './store.ts'

const SAMPLE_MAX = 4_096

export class RowSample {
  #shift: number = 0
  readonly #rows = new Map<number, number>()
  #rowBytes: number = 0
  #changes: number = 0

  /** What `encode` gave; undefined starts empty. */
  constructor(encoded: Uint8Array | undefined) {
    if (encoded === undefined) return
    const source = asBuffer(encoded)
    this.#shift = source.readUInt8(0)
    for (let at = 1; at + 8 <= source.length; at += 8) {
      this.#set(source.readUInt32LE(at), source.readUInt32LE(at + 4))
    }
  }

  add({ key, value }: StoreChange): void {
    this.#changes += 1
    const hash = Bun.hash.xxHash32(key)
    if (hash >>> (32 - this.#shift) !== 0 && this.#shift > 0) return
    if (value === null) this.#remove(hash)
    else this.#set(hash, key.length + value.length)
    while (this.#rows.size > SAMPLE_MAX) this.#halve()
  }

  size(): { readonly rows: number; readonly bytes: number } {
    const factor = 2 ** this.#shift
    return { rows: this.#rows.size * factor, bytes: this.#rowBytes * factor }
  }

  /**
   * Whether as much has changed as the sample holds, so that it should be kept with the next batch: at eight bytes a change, and
   * a store that is killed miscounts by no more changes than that.
   */
  get isDue(): boolean {
    return this.#changes > 0 && this.#changes >= this.#rows.size
  }

  get isDirty(): boolean {
    return this.#changes > 0
  }

  encode(): Uint8Array {
    this.#changes = 0
    const target = Buffer.allocUnsafe(1 + 8 * this.#rows.size)
    let at = target.writeUInt8(this.#shift)
    for (const [hash, bytes] of this.#rows) {
      at = target.writeUInt32LE(hash, at)
      at = target.writeUInt32LE(bytes, at)
    }
    return target
  }

  #set(hash: number, bytes: number): void {
    this.#remove(hash)
    this.#rows.set(hash, bytes)
    this.#rowBytes += bytes
  }

  #remove(hash: number): void {
    this.#rowBytes -= this.#rows.get(hash) ?? 0
    this.#rows.delete(hash)
  }

  #halve(): void {
    this.#shift += 1
    for (const hash of this.#rows.keys()) {
      if (hash >>> (32 - this.#shift) !== 0) this.#remove(hash)
    }
  }
}
