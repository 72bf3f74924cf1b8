/**
 * `millrace read TOPIC`: the records of a topic, committed ones only, in offset order per partition.
 *
 * Invariant: without `--follow` it ends at the offsets that were the end when it began, so it always ends.
 */
import { RecordCursor, type Log, type LogReader, type TopicPartition } from '#log'
import { line, shown, type ShownRecord } from './print.ts'
import { UsageError } from './open.ts'

export interface ReadOptions {
  readonly fromBeginning: boolean
  readonly partition: number | undefined
  readonly limit: number
  readonly follow: boolean
  readonly json: boolean
}
const BYTES_MAX = 1_048_576
const WAIT_MS = 500

export async function read(
  log: Log,
  topic: string,
  options: ReadOptions,
  print: (text: string) => void,
  stop: AbortSignal,
): Promise<void> {
  const partitions = await chosenPartitions(log, topic, options.partition)
  const ends = new Map<number, number>()
  const positions: (TopicPartition & { position: number })[] = []
  for (const partition of partitions) {
    const end = await log.endOffset({ topic, partition }, 'read-committed')
    ends.set(partition, end)
    const position = options.fromBeginning ? await log.earliestOffset({ topic, partition }) : end
    positions.push({ topic, partition, position })
  }
  const reader = log.reader()
  const wake = (): void => reader.wake()
  stop.addEventListener('abort', wake)
  try {
    reader.assign(positions)
    await copy(reader, positions, ends, options, print, stop)
  } finally {
    stop.removeEventListener('abort', wake)
    await reader.close()
  }
}

async function copy(
  reader: LogReader,
  positions: readonly (TopicPartition & { position: number })[],
  ends: ReadonlyMap<number, number>,
  options: ReadOptions,
  print: (text: string) => void,
  stop: AbortSignal,
): Promise<void> {
  const starts = new Map(positions.map(({ partition, position }) => [partition, position]))
  const cursor = new RecordCursor()
  const open = new Set(
    positions
      .filter((one) => one.position < (ends.get(one.partition) ?? 0))
      .map((one) => one.partition),
  )
  let left = options.limit
  while (left > 0 && !stop.aborted && (options.follow || open.size > 0)) {
    const batches = await reader.poll({ waitMs: WAIT_MS, bytesMax: BYTES_MAX })
    for (const batch of batches) {
      cursor.open(batch.bytes, batch)
      while (left > 0 && cursor.next()) {
        const past = !options.follow && cursor.offset >= (ends.get(batch.partition) ?? 0)
        if (past || cursor.offset < (starts.get(batch.partition) ?? 0)) continue
        const record = show(batch, cursor)
        print(options.json ? JSON.stringify(record) : line(record))
        left -= 1
      }
      if (batch.nextOffset >= (ends.get(batch.partition) ?? 0)) open.delete(batch.partition)
    }
    // Aborted and control records move the position without giving a batch.
    for (const partition of open) {
      const progress = reader.progress({ topic: positions[0]?.topic ?? '', partition })
      if (batches.length === 0 && (progress?.position ?? 0) >= (ends.get(partition) ?? 0))
        open.delete(partition)
    }
  }
}

function show({ topic, partition }: TopicPartition, cursor: RecordCursor): ShownRecord {
  const slice = (start: number, end: number): Uint8Array | null =>
    start < 0 ? null : cursor.buffer.subarray(start, end)
  return {
    topic,
    partition,
    offset: cursor.offset,
    timestamp: cursor.timestampMs,
    key: shown(slice(cursor.keyStart, cursor.keyEnd)),
    value: shown(slice(cursor.valueStart, cursor.valueEnd)),
    headers: cursor.headers().map(([name, value]) => [name, shown(value)] as const),
  }
}

async function chosenPartitions(
  log: Log,
  topic: string,
  only: number | undefined,
): Promise<readonly number[]> {
  const [description] = await log.describeTopics([topic])
  if (description === undefined)
    throw new UsageError(`there is no topic ${topic}: \`millrace topics\` lists them`)
  if (only === undefined) return Array.from({ length: description.partitions }, (_, index) => index)
  if (only >= description.partitions)
    throw new UsageError(`${topic} has partitions 0 to ${description.partitions - 1}, not ${only}`)
  return [only]
}
