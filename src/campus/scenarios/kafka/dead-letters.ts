/**
 * Records that an application could not process: in a drill there are none, since users order only what can be ordered.
 *
 * Invariant: what an aborted transaction wrote does not count.
 */
import type { Log } from '#millrace'

/** Topics that hold any. */
export async function deadLetters(log: Log): Promise<readonly string[]> {
  const topics = (await log.describeTopics()).filter(({ topic }) => topic.endsWith('-dead-letters'))
  const found: string[] = []
  for (const { topic, partitions } of topics) {
    const places = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }))
    const reader = log.reader()
    try {
      const ends = await Promise.all(places.map((at) => log.endOffset(at, 'read-committed')))
      reader.assign(places.map((at) => ({ ...at, position: 0 })))
      let count = 0
      const isDone = (): boolean =>
        places.every((at, index) => (reader.progress(at)?.position ?? 0) >= (ends[index] ?? 0))
      while (!isDone()) count += (await reader.poll({ waitMs: 100, bytesMax: 1 << 20 })).length
      if (count > 0) found.push(`${topic} has records, in ${count} batches`)
    } finally {
      await reader.close()
    }
  }
  return found
}
