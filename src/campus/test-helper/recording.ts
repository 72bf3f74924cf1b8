/**
 * A day of campus as a recorded log: orders and restocks, complete before anybody reads them.
 *
 * Invariant: the same seed gives the same records.
 */
import {
  RecordBatchWriter,
  partitionFor,
  type Log,
  type RecordHeaders,
  type TopicSpec,
} from '#millrace'
import { campusTopics, orders, stock } from '../topics.ts'
import { START_MS, orderOf, restockOf } from './records.ts'

const PARTITIONS = 4
const BATCH_RECORDS = 500
const utf8 = new TextEncoder()
const PLACED: RecordHeaders = [['event', utf8.encode('OrderPlaced')]]

/** Numbers of a seed, in [0, 1) (mulberry32). */
export function numbersOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** The day was long ago: with the retention of a campus that runs, the log would drop it while it is read. */
export function recordedTopics(): readonly TopicSpec[] {
  const keptForEver = { 'retention.ms': '-1' }
  return campusTopics(PARTITIONS).map((topic) => ({
    ...topic,
    config: { ...topic.config, ...keptForEver },
  }))
}

/**
 * Of 40 items and one that nobody sells; one order in twenty is a retry, one in fifty comes late, a restock comes every twenty
 * orders, often at the very millisecond of an order. There is too little of everything, so that the order of things decides.
 */
export async function record(log: Log, count: number, seed: number): Promise<void> {
  await log.createTopics(recordedTopics())
  const next = numbersOf(seed)
  const placed = new Batches(log, orders.name)
  const added = new Batches(log, stock.name)
  for (let number = 0, timeMs = START_MS; number < count; number += 1) {
    timeMs += Math.floor(next() * 3)
    const isRetry = number > 0 && next() < 0.05
    const id = isRetry ? Math.floor(next() * number) : number
    const item = `item-${id % 41}`
    const qty = 1 + (id % 5)
    const atMs = next() < 0.02 ? timeMs - Math.floor(next() * 10_000) : timeMs
    const { key, value } = orders.encode(item, orderOf(`o${id}`, item, qty, START_MS + id))
    await placed.add(item, atMs, key, value, PLACED)
    if (number % 20 !== 0) continue
    const stocked = `item-${Math.floor(next() * 40)}`
    const restock = stock.encode(stocked, restockOf(`s${number}`, stocked, 30))
    await added.add(stocked, timeMs, restock.key, restock.value, [])
  }
  await placed.finish()
  await added.finish()
}

class Batches {
  readonly #log: Log
  readonly #topic: string
  readonly #open = new Map<number, RecordBatchWriter>()
  #writer: ReturnType<Log['writer']> | undefined

  constructor(log: Log, topic: string) {
    this.#log = log
    this.#topic = topic
  }

  async add(
    item: string,
    timestampMs: number,
    key: Uint8Array | null,
    value: Uint8Array | null,
    headers: RecordHeaders,
  ): Promise<void> {
    const partition = partitionFor(utf8.encode(item), PARTITIONS)
    const batch = this.#open.get(partition) ?? new RecordBatchWriter()
    this.#open.set(partition, batch)
    batch.add(timestampMs, key, value, headers)
    if (batch.count >= BATCH_RECORDS) await this.#send(partition, batch)
  }

  async finish(): Promise<void> {
    for (const [partition, batch] of this.#open) await this.#send(partition, batch)
    await (await this.#writer)?.close()
  }

  async #send(partition: number, batch: RecordBatchWriter): Promise<void> {
    this.#open.delete(partition)
    this.#writer ??= this.#log.writer()
    const { count } = batch
    const append = { topic: this.#topic, partition, bytes: batch.finish(), count }
    await (await this.#writer).append(append)
  }
}
