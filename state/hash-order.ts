/**
 * The order in which Java walks a `HashSet` of byte strings: Kafka Streams writes a suppress buffer's changelog in it.
 *
 * Invariant: the same keys, added in the same order since the same start, come in Java's order; the table never shrinks.
 */
import { asBuffer } from '#system'

const CAPACITY_MIN = 16

export class HashOrder {
  #capacity = CAPACITY_MIN

  /** Keys that were added to the emptied set in this order, in the order in which it gives them back. */
  of<T extends { readonly key: Uint8Array }>(added: readonly T[]): readonly T[] {
    while (added.length > this.#capacity * 0.75) this.#capacity *= 2
    if (added.length < 2) return added
    const placed = added.map((item) => ({ item, bucket: hashOf(item.key) & (this.#capacity - 1) }))
    placed.sort((a, b) => a.bucket - b.bucket)
    return placed.map(({ item }) => item)
  }
}

/** `Arrays.hashCode(byte[])`, spread as `HashMap` does. */
function hashOf(bytes: Uint8Array): number {
  const source = asBuffer(bytes)
  let hash = 1
  for (let at = 0; at < source.length; at++) hash = (Math.imul(hash, 31) + source.readInt8(at)) | 0
  return hash ^ (hash >>> 16)
}
