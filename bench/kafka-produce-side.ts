/**
 * Appends records of 100 bytes to four partitions, as fast as they are acknowledged: BOOTSTRAP TOPIC RECORDS.
 *
 * Run as a program, so that its processor time is that of a whole process, as Java's is.
 */
import { openLog, RecordBatchWriter } from '#log'

const VALUE_BYTES = 100
const PARTITIONS = 4
const BATCH_BYTES = 262_144
/** Appends that wait for their acknowledgement. */
const WINDOW = 16

async function produce(bootstrap: string, topic: string, records: number): Promise<void> {
  const log = await openLog(`kafka://${bootstrap}`)
  const writer = await log.writer()
  const value = Buffer.alloc(VALUE_BYTES, 'millrace')
  const batches = Array.from({ length: PARTITIONS }, () => new RecordBatchWriter())
  const waiting = new Set<Promise<unknown>>()
  const send = async (batch: RecordBatchWriter, partition: number): Promise<void> => {
    const { count } = batch
    if (count === 0) return
    const appended = writer.append({ topic, partition, bytes: batch.finish(), count })
    waiting.add(appended)
    void appended.then(() => waiting.delete(appended))
    if (waiting.size >= WINDOW) await Promise.race(waiting)
  }
  const timeMs = Date.now()
  for (let number = 0; number < records; number += 1) {
    const partition = number % PARTITIONS
    const batch = batches[partition] as RecordBatchWriter
    batch.add(timeMs, null, value, [])
    if (batch.sizeBytes + 2 * VALUE_BYTES > BATCH_BYTES) await send(batch, partition)
  }
  for (const [partition, batch] of batches.entries()) await send(batch, partition)
  await writer.flush()
  await writer.close()
  await log.close()
}

const [bootstrap = '', topic = '', records = ''] = process.argv.slice(2)
await produce(bootstrap, topic, Number(records))
