/**
 * Kafka's default partitioner: which partition a key belongs to.
 *
 * Invariant: equal key bytes and partition count give the partition that Kafka's own clients choose.
 */

/** Seed of the murmur2 that Kafka's clients use. */
const SEED = 0x9747b28c

export function partitionFor(keyBytes: Uint8Array, partitionCount: number): number {
  return (Bun.hash.murmur32v2(keyBytes, SEED) & 0x7fffffff) % partitionCount
}
