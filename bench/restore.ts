/**
 * A store is rebuilt from its changelog by the engine, and by a loop that only reads, and applies the backend's own batches.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RecordBatchWriter, RecordCursor, type Log, type TopicPartition } from '#log'
import { createMemoryLog } from '#log/memory'
import { Streams } from '#runtime'
import type { BackendKind, StateStore, StoreBackend, StoreChange, StoreHeader } from '#state'
import { levelBackend } from '#state/level'
import { MemoryBackend } from '#state/memory'
import { sqliteBackend } from '#state/sqlite'
import { readBootId } from '#system'
import { bytes, StreamsBuilder, string, topic } from '#topology'
import type { Figure } from './figure.ts'
import { compare, measure, type Rounds, type Side, type Work } from './rounds.ts'

const APPLICATION = 'restored'
const STORE = 'rows'
const INPUT: TopicPartition = { topic: 'restored-input', partition: 0 }
const CHANGELOG: TopicPartition = { topic: `${APPLICATION}-${STORE}-changelog`, partition: 0 }
const BATCH_RECORDS = 4_000
const VALUE_BYTES = 100
const SAMPLES = 1_000
const TIME_MS = 1_795_521_600_000

export async function restore(
  kind: BackendKind,
  options: { readonly keys: number; readonly rounds: Rounds },
): Promise<readonly Figure[]> {
  const { keys, rounds } = options
  const log = createMemoryLog()
  await fill(log, keys)
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  try {
    return await compare(
      `restore-${kind}`,
      [engineSide(kind, log, folder, keys), loopSide(kind, log, folder, keys)],
      { records: keys, rounds, ratios: [{ of: 'engine', against: 'loop', floor: 0.8 }] },
    )
  } finally {
    rmSync(folder, { recursive: true })
    await log.close()
  }
}

/** The key with this number: 16 characters, in no order. */
function keyOf(number: number): string {
  return Bun.hash.xxHash64(String(number)).toString(16).padStart(16, '0')
}

/** One record a key, as if an application had written and committed them. */
async function fill(log: Log, keys: number): Promise<void> {
  const compacted = { 'cleanup.policy': 'compact' }
  await log.createTopics([
    { topic: INPUT.topic, partitions: 1, config: {} },
    { topic: CHANGELOG.topic, partitions: 1, config: compacted },
  ])
  const writer = await log.writer({ transactionalId: APPLICATION })
  const batch = new RecordBatchWriter()
  for (let number = 0; number < keys; number += 1) {
    const value = Buffer.alloc(VALUE_BYTES, `${number} `)
    batch.add(TIME_MS + number, Buffer.from(keyOf(number)), value, [])
    if (batch.count < BATCH_RECORDS && number < keys - 1) continue
    const { count } = batch
    await writer.append({ ...CHANGELOG, bytes: batch.finish(), count })
  }
  const offsets = [{ ...INPUT, offset: 0, metadata: '' }]
  await writer.commit({ appends: [], groupId: APPLICATION, member: undefined, offsets })
  await writer.close()
}

function engineSide(kind: BackendKind, log: Log, folder: string, keys: number): Side {
  const input = topic(INPUT.topic, { key: string(), value: bytes() })
  const builder = new StreamsBuilder(APPLICATION)
  const rows = builder.stream(input).toTable(STORE, { value: bytes(), backend: kind })
  const topology = builder.build()
  let streams: Streams
  let restored = 0
  const work: Work = {
    async prepare({ number }) {
      const stateDir = join(folder, `engine-${number}`)
      streams = new Streams(topology, {
        log,
        ...(kind === 'memory' ? { backend: kind } : { stateDir }),
        observer: (happening) => {
          if (happening.kind === 'restored') restored = happening.records
        },
      })
    },
    run: () => streams.start(),
    async check({ number }) {
      if (restored !== keys) throw new Error(`${restored} records were restored`)
      const query = streams.query(rows)
      const checksum = await checksumOf(keys, async (key) => (await query.get(key)).value)
      await streams.close({ leave: true })
      rmSync(join(folder, `engine-${number}`), { recursive: true, force: true })
      return { checksum }
    },
  }
  return { name: 'engine', round: (round) => measure(work, round), close: async () => {} }
}

function loopSide(kind: BackendKind, log: Log, folder: string, keys: number): Side {
  const location = { applicationId: APPLICATION, taskId: '0_0', storeName: STORE }
  let backend: StoreBackend
  let store: StateStore
  const work: Work = {
    async prepare({ number }) {
      backend = backendOf(kind, join(folder, `loop-${number}`))
      store = (await backend.open(location)).store
    },
    run: () => restoreByHand(log, store, backend.restoreBatchRows, keys),
    async check({ number }) {
      const valueOf = async (key: string) => store.get(Buffer.from(key))?.subarray(8)
      const checksum = await checksumOf(keys, valueOf)
      await store.close()
      rmSync(join(folder, `loop-${number}`), { recursive: true, force: true })
      return { checksum }
    },
  }
  return { name: 'loop', round: (round) => measure(work, round), close: async () => {} }
}

/** Rows are ts(8) ‖ value, as the engine's are. */
async function restoreByHand(
  log: Log,
  store: StateStore,
  batchRows: number,
  keys: number,
): Promise<void> {
  const reader = log.reader()
  const cursor = new RecordCursor()
  let changes: StoreChange[] = []
  let position = 0
  reader.assign([{ ...CHANGELOG, position }])
  while (position < keys) {
    for (const batch of await reader.poll({ waitMs: 1_000, bytesMax: 4 * 1024 * 1024 })) {
      cursor.open(batch.bytes, batch)
      while (cursor.next()) {
        const { buffer, keyStart, keyEnd, valueStart, valueEnd, timestampMs } = cursor
        const row = Buffer.allocUnsafe(8 + valueEnd - valueStart)
        row.writeBigInt64BE(BigInt(timestampMs), 0)
        buffer.copy(row, 8, valueStart, valueEnd)
        changes.push({ key: buffer.subarray(keyStart, keyEnd), value: row })
      }
      position = batch.nextOffset
    }
    if (changes.length < batchRows && position < keys) continue
    await store.apply(changes, headerAt(log, position))
    changes = []
  }
  await reader.close()
}

function headerAt(log: Log, position: number): StoreHeader {
  return {
    format: 1,
    logId: log.id,
    applicationId: APPLICATION,
    storeName: STORE,
    taskId: '0_0',
    changelogs: [{ ...CHANGELOG, topicId: 'by hand', leaderEpoch: 0, position }],
    appliedInputs: {},
    appliedAtMs: Date.now(),
  }
}

function backendOf(kind: BackendKind, folder: string): StoreBackend {
  if (kind === 'level') return levelBackend({ folder, bootId: readBootId() })
  if (kind === 'sqlite') return sqliteBackend({ folder })
  return new MemoryBackend()
}

/** Of the values of some keys, evenly chosen. */
async function checksumOf(
  keys: number,
  valueOf: (key: string) => Promise<Uint8Array | undefined>,
): Promise<string> {
  let sum = 0n
  for (let n = 0; n < SAMPLES; n += 1) {
    const value = await valueOf(keyOf(Math.floor((n * keys) / SAMPLES)))
    if (value === undefined) throw new Error('a row is missing')
    sum = Bun.hash.xxHash64(value, sum)
  }
  return sum.toString(16)
}
