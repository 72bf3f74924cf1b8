/** Reads of a real broker by the driver and by Kafka's own `kafka-consumer-perf-test`: whole processes both, one topic. */
import { startCluster } from '#kafka-for-tests'
import { consumerPerformance, producerPerformance } from '#kafka-for-tests/tools'
import { openLog } from '#log'
import { runDriver } from './driver-process.ts'
import type { Figure } from './figure.ts'
import { compare, type Rounds, type Sample, type Side } from './rounds.ts'

const TOPIC = 'orders'
const PARTITIONS = 4
const RECORD_BYTES = 100
/** As the driver reads unless told otherwise. */
const JAVA_SETTINGS = { 'isolation.level': 'read_committed' }

export async function kafkaFetch(options: {
  readonly records: number
  readonly rounds: Rounds
}): Promise<readonly Figure[]> {
  const { records, rounds } = options
  const cluster = await startCluster()
  const { bootstrap } = cluster
  try {
    const log = await openLog(`kafka://${bootstrap}`)
    await log.createTopics([{ topic: TOPIC, partitions: PARTITIONS, config: {} }])
    await log.close()
    // As Java writes unless told otherwise: batches of 16 KB.
    await producerPerformance({ bootstrap, topic: TOPIC, records, recordBytes: RECORD_BYTES })
    const sides = [
      sideOf('driver', () => readByDriver(bootstrap, records)),
      sideOf('java', () => readByJava(bootstrap, records)),
    ]
    const ratios = [{ of: 'driver', against: 'java', floor: 1 }]
    return await compare('kafka-fetch', sides, { rounds, records, ratios })
  } finally {
    await cluster.down()
  }
}

function sideOf(name: string, round: () => Promise<Sample>): Side {
  return { name, round, close: async () => {} }
}

async function readByDriver(bootstrap: string, records: number): Promise<Sample> {
  const run = await runDriver('kafka-fetch-side.ts', bootstrap, TOPIC, `${records}`)
  const { told, cpuMs, wallMs } = run
  const [count, bytes] = told.trim().split(' ').map(Number)
  if (bytes !== records * RECORD_BYTES) throw new Error(`the driver read ${bytes} bytes of values`)
  return { cpuMs, wallMs, checksum: `${count}` }
}

/** The tool tells its rate without the time until it was assigned anything. */
async function readByJava(bootstrap: string, records: number): Promise<Sample> {
  const read = await consumerPerformance({
    bootstrap,
    topic: TOPIC,
    records,
    settings: JAVA_SETTINGS,
  })
  const { user, system } = read.cpuMs
  const wallMs = (records / read.recordsPerSecond) * 1_000
  return { cpuMs: user + system, wallMs, checksum: `${read.records}` }
}
