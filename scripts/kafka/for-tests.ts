/**
 * The cluster of one broker that all `*.kafka.test.ts` of a test run share.
 *
 *     const kafka = await kafkaForTests()
 *     describe.skipIf(kafka === undefined)('…', () => { … kafka!.bootstrap … })
 *
 * `MILLRACE_KAFKA=host:port` names one that runs already. Otherwise the first call starts one, child processes find it in the
 * same variable, and it goes with the process that started it.
 *
 * Invariant: without Java or Maven tests skip and say why; in CI they fail instead.
 */
import { KafkaUnavailable } from './jars.ts'
import { startCluster } from './start-cluster.ts'

export interface KafkaForTests {
  readonly bootstrap: string
}

const VARIABLE = 'MILLRACE_KAFKA'
/** Held by the process, not by this module: a runner may load modules once for each test file. */
const SHARED = Symbol.for('millrace.kafkaForTests')

type Holder = { [SHARED]?: Promise<KafkaForTests | undefined> }

export function kafkaForTests(): Promise<KafkaForTests | undefined> {
  const holder = globalThis as Holder
  holder[SHARED] ??= findOrStart()
  return holder[SHARED]
}

async function findOrStart(): Promise<KafkaForTests | undefined> {
  const given = process.env[VARIABLE]
  if (given !== undefined && given !== '') return { bootstrap: given }
  try {
    const cluster = await startCluster()
    process.env[VARIABLE] = cluster.bootstrap
    return { bootstrap: cluster.bootstrap }
  } catch (error) {
    if (!(error instanceof KafkaUnavailable) || process.env['CI'] !== undefined) throw error
    console.warn(`Kafka tests are skipped: ${error.message}`)
    return undefined
  }
}
