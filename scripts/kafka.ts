/**
 * `bun run kafka up|down|status|kill N|start N|stop N|cont N|terminate N`: a real Apache Kafka on this machine.
 *
 *     bun run kafka up                              one broker on 127.0.0.1:9092, data in data/kafka
 *     bun run kafka up --brokers 3 --port 0 --dir D  three on free ports
 *     bun run kafka up --sasl --tls                 with users, certificates and ACLs: scripts/kafka/security.ts
 *     bun run kafka kill 2 && bun run kafka start 2 kill -9, then again on its data
 *     bun run kafka down                            ends the brokers and removes the data
 *     bun run kafka fetch                           only fetches the jars
 *
 * Needs Java 17 and Maven; `docker compose --profile kafka up kafka` needs neither.
 *
 * Invariant: acts only on the cluster that `up` started in the same `--dir`.
 */
import { parseArgs } from 'node:util'
import {
  KAFKA_VERSION,
  KafkaUnavailable,
  kafkaJars,
  openCluster,
  startCluster,
} from './kafka/cluster.ts'
import type { Cluster } from './kafka/cluster.ts'

const DEFAULT_DIR = 'data/kafka'
const DEFAULT_PORT = '9092'
const USAGE = `usage: bun run kafka up [--brokers N] [--port P] [--sasl] [--tls] [--heap MB] [--set name=value]
       bun run kafka fetch | down | status | kill N | start N | stop N | cont N | terminate N
each with [--dir FOLDER], ${DEFAULT_DIR} by default`

const { values, positionals } = readArguments()
const [command = '', argument] = positionals

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        brokers: { type: 'string', default: '1' },
        dir: { type: 'string', default: DEFAULT_DIR },
        port: { type: 'string', default: DEFAULT_PORT },
        heap: { type: 'string', default: '384' },
        sasl: { type: 'boolean', default: false },
        tls: { type: 'boolean', default: false },
        set: { type: 'string', multiple: true, default: [] },
      },
    })
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`)
    return process.exit(2)
  }
}

async function run(): Promise<number> {
  if (command === 'up') return await up()
  if (command === 'fetch') {
    console.log(`Apache Kafka ${KAFKA_VERSION} in ${await kafkaJars()}`)
    return 0
  }
  const cluster = await openCluster(values.dir)
  if (command === 'down') {
    await cluster?.down()
    console.log(cluster === undefined ? `no cluster in ${values.dir}` : 'down')
    return 0
  }
  if (command === 'status') {
    if (cluster !== undefined) return await report(cluster)
    console.log(`no cluster in ${values.dir}`)
    return 1
  }
  const act = actions[command]
  if (act === undefined || argument === undefined) {
    console.error(USAGE)
    return 2
  }
  if (cluster === undefined) throw new Error(`no cluster in ${values.dir}`)
  const done = await act(cluster, Number(argument))
  console.log(
    done === false ? `broker ${argument} is not running` : `broker ${argument}: ${command}`,
  )
  return done === false ? 1 : 0
}

const actions: Record<string, (cluster: Cluster, id: number) => Promise<boolean | void>> = {
  kill: (cluster, id) => cluster.kill(id),
  start: (cluster, id) => cluster.start(id),
  stop: (cluster, id) => cluster.stop(id),
  cont: (cluster, id) => cluster.cont(id),
  terminate: (cluster, id) => cluster.terminate(id),
}

async function up(): Promise<number> {
  const running = await openCluster(values.dir)
  if (running !== undefined) {
    for (const { id, pid } of await running.status()) if (pid === undefined) await running.start(id)
    return await report(running)
  }
  const cluster = await startCluster({
    brokers: Number(values.brokers),
    dir: values.dir,
    port: Number(values.port),
    sasl: values.sasl,
    tls: values.tls,
    heapMaxMb: Number(values.heap),
    settings: Object.fromEntries(values.set.map(setting)),
    detached: true,
  })
  return await report(cluster)
}

function setting(text: string): [name: string, value: string] {
  const at = text.indexOf('=')
  if (at < 1) throw new Error(`--set takes name=value, not ${text}`)
  return [text.slice(0, at), text.slice(at + 1)]
}

async function report(cluster: Cluster): Promise<number> {
  let down = 0
  for (const { id, address, pid } of await cluster.status()) {
    console.log(`broker ${id}  ${address}  ${pid === undefined ? 'down' : `pid ${pid}`}`)
    if (pid === undefined) down += 1
  }
  const listeners = {
    bootstrap: cluster.bootstrap,
    sasl: cluster.bootstrapSasl,
    tls: cluster.bootstrapTls,
    'mutual tls': cluster.bootstrapMutualTls,
    'sasl over tls': cluster.bootstrapSaslTls,
  }
  for (const [name, address] of Object.entries(listeners))
    if (address !== undefined) console.log(`${name}: ${address}`)
  if (cluster.bootstrapTls !== undefined) console.log(`certificates: ${cluster.dir}/security`)
  return down === 0 ? 0 : 1
}

process.exitCode = await run().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error))
  return error instanceof KafkaUnavailable ? 3 : 1
})
