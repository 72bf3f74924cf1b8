/**
 * Removes what a topic's retention no longer keeps: first it is out of reach, then, little by little, out of the file.
 *
 * Invariant: the earliest offset moves before a batch goes, so no reader meets a hole that it was not told of.
 */
import type { PartitionEntry } from './catalog.ts'
import { scanSizes } from './batch-scan.ts'
import type { ReadHandle } from './read-handle.ts'
import type { PartitionNumber, WriteChannel } from './write-channel.ts'

/** Removed in one transaction: so many bytes, about. */
const REMOVE_BYTES = 4_194_304

export interface MaintenanceTools {
  readonly handle: ReadHandle
  readonly channel: WriteChannel
  /** Lets others run. */
  readonly rest: () => Promise<void>
}

/** Moves the earliest offset over batches that are too old, or that are more than the partition keeps. */
export async function retain(entry: PartitionEntry, tools: MaintenanceTools): Promise<void> {
  const { settings, topic, partition } = entry
  const { handle, channel, rest } = tools
  const oldestMs = handle.clock.nowMs() - settings.retentionMs
  let bytesOver = (await sizeOf(entry, tools)) - settings.retentionBytes
  let offset = entry.earliestOffset
  search: for await (const rows of scanSizes(handle, entry, offset, rest)) {
    for (const { lastOffset, maxTimestampMs, sizeBytes } of rows) {
      // A batch goes when what stays is still as much as was asked for.
      if (maxTimestampMs >= oldestMs && bytesOver < sizeBytes) break search
      bytesOver -= sizeBytes
      offset = lastOffset + 1
    }
  }
  if (offset > entry.earliestOffset) {
    await channel.ask('delete-records', { topic, partition, offset })
  }
}

/** Only worth a look at every batch where there is a limit. */
async function sizeOf(entry: PartitionEntry, tools: MaintenanceTools): Promise<number> {
  if (entry.settings.retentionBytes === Number.POSITIVE_INFINITY) return 0
  let bytes = 0
  for await (const rows of scanSizes(tools.handle, entry, entry.earliestOffset, tools.rest)) {
    for (const { sizeBytes } of rows) bytes += sizeBytes
  }
  return bytes
}

/** Takes batches that lie below `belowOffset` out of the file. */
export async function removeBelow(
  place: PartitionNumber,
  belowOffset: number,
  { handle, channel, rest }: MaintenanceTools,
): Promise<void> {
  const { topicNumber, partition } = place
  const remove = (throughOffset: number): Promise<number> =>
    channel.ask('remove-batches', { topicNumber, partition, throughOffset })
  for await (const rows of scanSizes(handle, place, 0, rest)) {
    let sizeBytes = 0
    let throughOffset = -1
    for (const batch of rows) {
      if (batch.lastOffset >= belowOffset) {
        if (throughOffset !== -1) await remove(throughOffset)
        return
      }
      throughOffset = batch.baseOffset
      sizeBytes += batch.sizeBytes
      if (sizeBytes < REMOVE_BYTES) continue
      await remove(throughOffset)
      sizeBytes = 0
    }
    await remove(throughOffset)
  }
}

/** Numbers and partitions of topics that are gone, but whose batches are still there. */
export function orphans(handle: ReadHandle): Promise<readonly PartitionNumber[]> {
  const next = handle.database.query(
    `SELECT topic, partition FROM batches
     WHERE (topic, partition) > (?, ?) ORDER BY topic, partition LIMIT 1`,
  )
  return handle.readSoon(() => {
    const known = new Set(handle.catalog.topics().map(({ number }) => number))
    const found: PartitionNumber[] = []
    let row = next.values(-1, -1)[0] as [number, number] | undefined
    while (row !== undefined) {
      const [topicNumber, partition] = row
      if (!known.has(topicNumber)) found.push({ topicNumber, partition })
      row = next.values(topicNumber, partition)[0] as [number, number] | undefined
    }
    return found
  })
}
