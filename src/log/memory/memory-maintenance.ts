/**
 * Retention and compaction of a partition in memory.
 *
 * Invariant: compaction keeps the last value of every key and its last tombstone until that has lived `delete.retention.ms`;
 * records without a key stay.
 */
import { filterBatch } from '../filter-batch.ts'
import { RecordCursor } from '../record-cursor.ts'
import type { RawRecord } from '../record.ts'
import type { KeptBatch, MemoryPartition } from './memory-partition.ts'

export function maintain(partition: MemoryPartition, nowMs: number): void {
  if (partition.settings.deletes) retain(partition, nowMs)
  if (partition.settings.compacts) compact(partition, nowMs)
}

function retain(partition: MemoryPartition, nowMs: number): void {
  const { batches, settings } = partition
  let bytesOver = -settings.retentionBytes
  for (const { bytes } of batches) bytesOver += bytes.length
  let earliest = partition.earliestOffset
  for (const batch of batches) {
    const tooOld = batch.maxTimestampMs < nowMs - settings.retentionMs
    // A batch goes when what stays is still as much as was asked for.
    if (!tooOld && bytesOver < batch.bytes.length) break
    bytesOver -= batch.bytes.length
    earliest = batch.nextOffset
  }
  partition.deleteBelow(earliest)
}

function compact(partition: MemoryPartition, nowMs: number): void {
  const { settings } = partition
  const lastOffsets = lastOffsetOfKeys(partition)
  const compacted: KeptBatch[] = []
  for (const batch of partition.batches) {
    if (nowMs - batch.appendedAtMs < settings.compactionLagMs) {
      compacted.push(batch)
      continue
    }
    const compactedAtMs = batch.compactedAtMs ?? nowMs
    const tombstonesLive = nowMs < compactedAtMs + settings.deleteRetentionMs
    const bytes = filterBatch(batch.bytes, partition, (record) => {
      const key = keyText(record)
      if (key === undefined) return true
      if (lastOffsets.get(key) !== record.offset) return false
      if (record.valueStart !== -1 || tombstonesLive) return true
      const removedBelow = Math.max(partition.tombstonesRemovedBelow, record.offset + 1)
      partition.tombstonesRemovedBelow = removedBelow
      return false
    })
    if (bytes) compacted.push({ ...batch, bytes, compactedAtMs })
  }
  partition.replaceBatches(compacted)
}

function lastOffsetOfKeys(partition: MemoryPartition): ReadonlyMap<string, number> {
  const lastOffsets = new Map<string, number>()
  const cursor = new RecordCursor()
  for (const { bytes } of partition.batches) {
    cursor.open(bytes, partition)
    while (cursor.next()) {
      const key = keyText(cursor)
      if (key !== undefined) lastOffsets.set(key, cursor.offset)
    }
  }
  return lastOffsets
}

/** A key's bytes as a map key: one character a byte. */
function keyText(record: RawRecord): string | undefined {
  if (record.keyStart === -1) return undefined
  return record.buffer.latin1Slice(record.keyStart, record.keyEnd)
}
