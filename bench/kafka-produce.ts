/** Appends to a real broker by the driver and by Kafka's own `kafka-producer-perf-test`, whole processes both. */
import { startCluster } from '#kafka-for-tests'
import { producerPerformance } from '#kafka-for-tests/tools'
import { type Log, openLog } from '#log'
import { runDriver } from './driver-process.ts'
import type { Figure } from './figure.ts'
import { compare, type Rounds, type Sample, type Side } from './rounds.ts'

const PARTITIONS = 4
const RECORD_BYTES = 100
const SIDE = 'kafka-produce-side.ts'
/** Java's batches may be as large as the driver's, and get the time to become so. */
const JAVA_SETTINGS = { 'batch.size': '262144', 'linger.ms': '10' }

export async function kafkaProduce(options: {
  readonly records: number
  readonly rounds: Rounds
}): Promise<readonly Figure[]> {
  const { records, rounds } = options
  const cluster = await startCluster()
  const { bootstrap } = cluster
  const log = await openLog(`kafka://${bootstrap}`)
  try {
    const sides = [
      sideOf('driver', log, records, (topic) => runDriver(SIDE, bootstrap, topic, `${records}`)),
      sideOf('java', log, records, (topic) => runJava(bootstrap, topic, records)),
    ]
    const ratios = [{ of: 'driver', against: 'java', floor: 1 }]
    return await compare('kafka-produce', sides, { rounds, records, ratios })
  } finally {
    await log.close()
    await cluster.down()
  }
}

/** A topic of its own for each round; what is in it afterwards is the work that was done. */
function sideOf(
  name: string,
  log: Log,
  records: number,
  run: (topic: string) => Promise<Omit<Sample, 'checksum'>>,
): Side {
  return {
    name,
    async round({ number }) {
      const topic = `${name}-${number}`
      await log.createTopics([{ topic, partitions: PARTITIONS, config: {} }])
      const sample = await run(topic)
      let written = 0
      for (let partition = 0; partition < PARTITIONS; partition += 1) {
        written += await log.endOffset({ topic, partition }, 'read-committed')
      }
      if (written !== records) throw new Error(`${name} wrote ${written} of ${records} records`)
      await log.deleteTopics([topic])
      return { ...sample, checksum: `${written}` }
    },
    close: async () => {},
  }
}

async function runJava(
  bootstrap: string,
  topic: string,
  records: number,
): Promise<Omit<Sample, 'checksum'>> {
  const result = await producerPerformance({
    bootstrap,
    topic,
    records,
    recordBytes: RECORD_BYTES,
    settings: JAVA_SETTINGS,
  })
  const { user, system } = result.cpuMs
  return { cpuMs: user + system, wallMs: (records / result.recordsPerSecond) * 1_000 }
}
