/**
 * Reads and decodes the records of four partitions, to the last: BOOTSTRAP TOPIC RECORDS.
 *
 * Run as a program, so that its processor time is that of a whole process, as Java's is.
 */
import { openLog, RecordCursor } from '#log'

const PARTITIONS = 4
const POLL = { waitMs: 1_000, bytesMax: 1 << 20 }

/** Prints the records read, and the bytes of their values. */
async function read(bootstrap: string, topic: string, records: number): Promise<void> {
  const log = await openLog(`kafka://${bootstrap}`)
  const reader = log.reader()
  reader.assign(
    Array.from({ length: PARTITIONS }, (_, partition) => ({ topic, partition, position: 0 })),
  )
  const cursor = new RecordCursor()
  let count = 0
  let bytes = 0
  while (count < records) {
    for (const batch of await reader.poll(POLL)) {
      cursor.open(batch.bytes, batch)
      while (cursor.next()) {
        count += 1
        bytes += cursor.valueEnd - cursor.valueStart
      }
    }
  }
  await log.close()
  console.log(`${count} ${bytes}`)
}

const [bootstrap = '', topic = '', records = ''] = process.argv.slice(2)
await read(bootstrap, topic, Number(records))
