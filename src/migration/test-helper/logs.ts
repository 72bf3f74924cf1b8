/** Logs to migrate between: filled by hand, read back whole. */
import {
  RecordBatchWriter,
  RecordCursor,
  type FetchedBatch,
  type Log,
  type MemberIdentity,
  type OffsetCommit,
  type RecordHeaders,
  type TopicConfig,
  type TopicPartition,
  type Compression,
} from '#log'
import { noFailpoint, systemClock, type Clock } from '#system'
import { migrate, type MigrationOptions, type MigrationReport } from '../migrate.ts'

/** Waits take no time. */
export const hastyClock: Clock = {
  ...systemClock,
  after: (_delayMs, fire) => systemClock.after(0, fire),
}

export interface TestRecord {
  readonly key?: string | null
  readonly value?: string | Uint8Array | null
  readonly timestampMs?: number
  readonly headers?: RecordHeaders
}

export interface ReadRecord {
  readonly offset: number
  readonly timestampMs: number
  readonly key: string | null
  readonly value: string | null
  readonly headers: readonly (readonly [string, string | null])[]
}

export function place(topic: string, partition = 0): TopicPartition {
  return { topic, partition }
}

export async function create(
  log: Log,
  topic: string,
  partitions = 1,
  config: TopicConfig = { 'retention.ms': '-1' },
): Promise<void> {
  await log.createTopics([{ topic, partitions, config }])
}

export function batchOf(records: readonly TestRecord[], compression: Compression): Uint8Array {
  const batch = new RecordBatchWriter({ compression })
  const bytes = (text: string | Uint8Array | null): Uint8Array | null =>
    typeof text === 'string' ? Buffer.from(text) : text
  for (const { key = null, value = null, timestampMs = 1_000, headers = [] } of records) {
    batch.add(timestampMs, bytes(key), bytes(value), headers)
  }
  return batch.finish()
}

export async function append(
  log: Log,
  at: TopicPartition,
  records: readonly TestRecord[],
  compression: Compression = 'none',
): Promise<void> {
  const writer = await log.writer()
  const bytes = batchOf(records, compression)
  await writer.append({ ...at, bytes, count: records.length })
  await writer.close()
}

/** In one transaction, which leaves a marker on a log that has them. */
export async function commit(
  log: Log,
  appends: readonly (TopicPartition & { readonly records: readonly TestRecord[] })[],
  group?: {
    readonly groupId: string
    readonly offsets: readonly OffsetCommit[]
    readonly member?: MemberIdentity
  },
): Promise<void> {
  const writer = await log.writer({ transactionalId: `by-hand-${Bun.randomUUIDv7()}` })
  const result = await writer.commit({
    appends: appends.map(({ records, ...at }) => ({
      ...at,
      bytes: batchOf(records, 'none'),
      count: records.length,
    })),
    groupId: group?.groupId,
    member: group?.member,
    offsets: group?.offsets ?? [],
  })
  await writer.close()
  if (result.outcome !== 'committed') throw result.error
}

export async function read(log: Log, at: TopicPartition): Promise<readonly ReadRecord[]> {
  const end = await log.endOffset(at, 'read-committed')
  const position = await log.earliestOffset(at)
  const found: ReadRecord[] = []
  if (position >= end) return found
  const reader = log.reader()
  reader.assign([{ ...at, position }])
  const cursor = new RecordCursor()
  const text = (start: number, stop: number): string | null =>
    start < 0 ? null : cursor.buffer.toString('utf8', start, stop)
  while ((reader.progress(at)?.position ?? 0) < end) {
    for (const batch of await reader.poll({ waitMs: 100, bytesMax: 1 << 20 })) {
      cursor.open(batch.bytes, batch)
      while (cursor.next()) {
        const { offset, timestampMs } = cursor
        const headers = cursor
          .headers()
          .map(([name, value]) => [name, value && Buffer.from(value).toString()] as const)
        const key = text(cursor.keyStart, cursor.keyEnd)
        const value = text(cursor.valueStart, cursor.valueEnd)
        found.push({ offset, timestampMs, key, value, headers })
      }
    }
  }
  await reader.close()
  return found
}

export function recordsOf({ bytes, ...at }: FetchedBatch): TestRecord[] {
  const cursor = new RecordCursor()
  cursor.open(bytes, at)
  const found: TestRecord[] = []
  while (cursor.next()) {
    const { timestampMs, buffer, keyStart, keyEnd, valueStart, valueEnd } = cursor
    const key = keyStart < 0 ? null : buffer.toString('utf8', keyStart, keyEnd)
    const value = valueStart < 0 ? null : buffer.toString('utf8', valueStart, valueEnd)
    found.push({ timestampMs, key, value, headers: cursor.headers() })
  }
  return found
}

export const withoutOffsets = (
  records: readonly ReadRecord[],
): readonly Omit<ReadRecord, 'offset'>[] =>
  records.map(({ timestampMs, key, value, headers }) => ({ timestampMs, key, value, headers }))

export function run(
  source: Log,
  target: Log,
  options: Partial<MigrationOptions> = {},
): Promise<MigrationReport> {
  return migrate({
    source,
    target,
    selection: {},
    verify: true,
    clock: systemClock,
    failpoint: noFailpoint,
    onProgress: () => {},
    ...options,
  })
}

/** The code that `promise` rejects with, and the message. */
export async function refusal(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
  } catch (error) {
    if (error instanceof Error && 'code' in error) return `${String(error.code)}: ${error.message}`
    throw error
  }
  return 'it was done'
}
