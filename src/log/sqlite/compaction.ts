/**
 * Compacts a partition: of every key the last record stays, and of tombstones those that are still young.
 *
 * First the part that was never compacted is read, for the last offset of every key in it; then all batches below its end
 * are gone through, and those with older records of these keys are written anew, from the beginning on.
 *
 * Invariant: a batch is rewritten after all batches before it, so that when a tombstone goes, what it deleted has gone before;
 * and a tombstone goes `delete.retention.ms` after the first compaction that met it.
 */
import { asBuffer, type Failpoint } from '#system'

import { filterBatch } from '../filter-batch.ts'
import { CRC_AT, readBatchHeader } from '../record-batch.ts'
import { RecordCursor } from '../record-cursor.ts'
import type { RawRecord } from '../record.ts'
import { scanBatches, scanSizes } from './batch-scan.ts'
import { numberOf, type PartitionEntry } from './catalog.ts'
import type { MaintenanceTools } from './retention.ts'
import type { BatchRewrite } from './write-channel.ts'

/** Keys remembered in one run; what lies behind has to wait for the next. */
const KEYS_MAX = 250_000
/** A part that was never compacted is not worth the work while it is smaller than this. */
const DIRTY_BYTES_MIN = 65_536
/** Compactions that are remembered, at most, within `delete.retention.ms`. */
const CLEANING_SLICES = 16

export interface CompactionTools extends MaintenanceTools {
  readonly failpoint: Failpoint
  /** Compact whatever can be, however little it is. */
  readonly force: boolean
}

interface Plan {
  /** Last offset of every key from where nothing was compacted yet up to `cleanedBelow`. */
  readonly lastOffsets: ReadonlyMap<string, number>
  readonly cleanedBelow: number
  /** Tombstones below it were met by a compaction long enough ago. */
  readonly sweptBelow: number
}

/** False if it has more to do: keys were too many for one run. */
export async function compact(entry: PartitionEntry, tools: CompactionTools): Promise<boolean> {
  const sweptBelow = await sweepableBelow(entry, tools)
  const endOffset = await compactableEnd(entry, tools)
  const isDirty = endOffset > entry.cleanedBelow && (await isWorthIt(entry, endOffset, tools))
  if (!isDirty && sweptBelow <= entry.sweptBelow) return true
  const { lastOffsets, cleanedBelow } = await lastOffsetsOf(entry, isDirty ? endOffset : 0, tools)
  if (!(await rewrite(entry, { lastOffsets, cleanedBelow, sweptBelow }, tools))) return true
  tools.failpoint('log:compaction')
  const { topicNumber, partition } = entry
  const atMs = tools.handle.clock.nowMs()
  const sliceMs = Math.floor(entry.settings.deleteRetentionMs / CLEANING_SLICES)
  const finished = { topicNumber, partition, cleanedBelow, sweptBelow, atMs, sliceMs }
  await tools.channel.ask('finish-cleaning', finished)
  return !isDirty || cleanedBelow >= endOffset
}

/** Tombstones below this offset have been there for `delete.retention.ms` since a compaction met them. */
function sweepableBelow(entry: PartitionEntry, { handle }: CompactionTools): Promise<number> {
  const latest = handle.database.query(
    `SELECT max(below_offset) FROM cleanings WHERE topic = ? AND partition = ? AND at_ms <= ?`,
  )
  const metBeforeMs = handle.clock.nowMs() - entry.settings.deleteRetentionMs
  return handle.readSoon(() => {
    const row = latest.values(entry.topicNumber, entry.partition, metBeforeMs)[0]
    return Math.max(entry.sweptBelow, numberOf(row?.[0] ?? 0))
  })
}

/** Where compaction has to stop: at the end, or at the first batch that is younger than `min.compaction.lag.ms`. */
async function compactableEnd(entry: PartitionEntry, tools: CompactionTools): Promise<number> {
  const { handle, rest } = tools
  const endOffset = await handle.readSoon(() => {
    return handle.catalog.endOffset(handle.catalog.partition(entry))
  })
  if (entry.settings.compactionLagMs === 0) return endOffset
  const youngestMs = handle.clock.nowMs() - entry.settings.compactionLagMs
  for await (const rows of scanSizes(handle, entry, entry.cleanedBelow, rest)) {
    const young = rows.find(({ maxTimestampMs }) => maxTimestampMs > youngestMs)
    if (young !== undefined) return young.baseOffset
  }
  return endOffset
}

async function isWorthIt(
  entry: PartitionEntry,
  endOffset: number,
  tools: CompactionTools,
): Promise<boolean> {
  if (tools.force) return true
  let dirtyBytes = 0
  for await (const rows of scanSizes(tools.handle, entry, entry.cleanedBelow, tools.rest)) {
    for (const row of rows) if (row.baseOffset < endOffset) dirtyBytes += row.sizeBytes
  }
  if (dirtyBytes < DIRTY_BYTES_MIN) return false
  // The clean part is only measured if it could still tip the balance.
  const cleanBytesMax = dirtyBytes / entry.settings.dirtyRatioMin - dirtyBytes
  let cleanBytes = 0
  for await (const rows of scanSizes(tools.handle, entry, 0, tools.rest)) {
    for (const row of rows) {
      if (row.baseOffset >= entry.cleanedBelow) return true
      cleanBytes += row.sizeBytes
    }
    if (cleanBytes > cleanBytesMax) return false
  }
  return true
}

async function lastOffsetsOf(
  entry: PartitionEntry,
  belowOffset: number,
  { handle, rest }: CompactionTools,
): Promise<Pick<Plan, 'lastOffsets' | 'cleanedBelow'>> {
  const lastOffsets = new Map<string, number>()
  const cursor = new RecordCursor()
  const range = { fromOffset: entry.cleanedBelow, belowOffset }
  let cleanedBelow = Math.max(entry.cleanedBelow, belowOffset)
  for await (const chunk of scanBatches(handle, entry, range, rest)) {
    for (const [baseOffset, bytes] of chunk) {
      if (lastOffsets.size >= KEYS_MAX) {
        cleanedBelow = baseOffset
        return { lastOffsets, cleanedBelow }
      }
      cursor.open(bytes, entry)
      while (cursor.next()) {
        const key = keyText(cursor)
        if (key !== undefined) lastOffsets.set(key, cursor.offset)
      }
    }
  }
  return { lastOffsets, cleanedBelow }
}

/** False if another process was at it too: it stops, and looks again at the next round. */
async function rewrite(
  entry: PartitionEntry,
  plan: Plan,
  { handle, channel, rest, failpoint }: CompactionTools,
): Promise<boolean> {
  const { topic, topicNumber, partition } = entry
  // From the very beginning: the earliest offset may lie inside of the first batch that is left.
  const range = { fromOffset: 0, belowOffset: plan.cleanedBelow }
  for await (const chunk of scanBatches(handle, entry, range, rest)) {
    const rewrites: BatchRewrite[] = []
    let tombstonesRemovedBelow = 0
    for (const [baseOffset, bytes] of chunk) {
      const kept = filterBatch(bytes, entry, (record) => {
        if (staysLast(record, plan)) return true
        if (record.valueStart === -1 && isLast(record, plan)) {
          tombstonesRemovedBelow = Math.max(tombstonesRemovedBelow, record.offset + 1)
        }
        return false
      })
      if (kept !== bytes) rewrites.push(rewriteOf(baseOffset, bytes, kept))
    }
    if (rewrites.length === 0) continue
    failpoint('log:compaction')
    const request = { topic, topicNumber, partition, rewrites, tombstonesRemovedBelow }
    if (!(await channel.ask('rewrite-batches', request))) return false
  }
  return true
}

function isLast(record: RawRecord, { lastOffsets }: Plan): boolean {
  const key = keyText(record)
  return key === undefined || (lastOffsets.get(key) ?? record.offset) <= record.offset
}

function staysLast(record: RawRecord, plan: Plan): boolean {
  if (!isLast(record, plan)) return false
  // A record without a key and without a value deletes nothing: it stays like any other without a key.
  const isTombstone = record.valueStart === -1 && record.keyStart !== -1
  return !isTombstone || record.offset >= plan.sweptBelow
}

function rewriteOf(
  baseOffset: number,
  before: Uint8Array,
  bytes: Uint8Array | undefined,
): BatchRewrite {
  return {
    baseOffset,
    crc: asBuffer(before).readUInt32BE(CRC_AT),
    bytes,
    maxTimestampMs: bytes === undefined ? -1 : readBatchHeader(bytes).maxTimestampMs,
  }
}

/** A key's bytes as a map key: one character a byte. */
function keyText(record: RawRecord): string | undefined {
  if (record.keyStart === -1) return undefined
  return record.buffer.latin1Slice(record.keyStart, record.keyEnd)
}
