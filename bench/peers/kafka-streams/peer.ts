/**
 * Kafka Streams 4.3.1 as a peer to be measured beside: builds `src/` with Maven into the cache, and runs it.
 *
 *     await loadPeerInput({ bootstrap, topic: 'orders', orders })
 *     const report = await runPeer('count', { bootstrap, app: 'ks', input: 'orders', output: 'counts', state, cache: 'off' })
 *     const serving = await servePeer('reserve', { … })   // and then runPeer('open-loop', …), whoever it is that serves
 *     await serving.stop()
 *
 * Also by hand, with the same names: `bun bench/peers/kafka-streams/peer.ts count --bootstrap … --app …`. What the modes do and
 * which options they take stands in Peer.java and Application.java.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { mavenFolder } from '#kafka-for-tests'
import type { Order } from '../../orders.ts'
import { reportOf, serving, type ReportProcess, type Serving } from '../../report-process.ts'

export type PeerProgram = 'count' | 'reserve'
export type PeerMode = PeerProgram | 'restore' | 'fill-changelog' | 'open-loop' | 'check'
/** Option names as on the command line; true is a switch. */
export type PeerOptions = Readonly<Record<string, string | number | true>>

/** Of `count`, `reserve` and `restore`. CPU is from the start of the program to its last commit, user and system apart. */
export interface PeerReport {
  readonly mode: string
  readonly records: number
  readonly wallMs: number
  /** Of that, until it was running. */
  readonly startMs: number
  readonly cpuUserMs: number
  readonly cpuSystemMs: number
  /** The start of Java counted in. */
  readonly cpuUserMsWithStart: number
  readonly cpuSystemMsWithStart: number
  readonly memoryPeakBytes: number
  readonly commits: number
  readonly commitAverageMs: number
  readonly commitLongestMs: number
  /** All the time that producers stood still to flush, to send offsets and to end transactions. */
  readonly commitWaitMs: number
  /** Of `restore`. */
  readonly restored?: number
  readonly restoreMs?: number
}

export interface PeerCheck {
  readonly records: number
  readonly results: number
  readonly checksum: string
  readonly fold: string
  readonly sumOfLast: number
}

export interface PeerLatency {
  readonly records: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  readonly maxMs: number
}

interface Reports {
  readonly count: PeerReport
  readonly reserve: PeerReport
  readonly restore: PeerReport
  readonly 'fill-changelog': { readonly records: number; readonly topic: string }
  readonly 'open-loop': PeerLatency
  readonly check: PeerCheck
}

const SOURCES = join(import.meta.dir, 'src/main/java')
const HEAP_MAX_MB = 512

function peerJars(): Promise<string> {
  const sources = readdirSync(SOURCES)
    .sort()
    .map((name) => join(SOURCES, name))
  return mavenFolder(
    'kafka-streams-peer',
    join(import.meta.dir, 'pom.xml'),
    (output) => [
      'compiler:compile',
      'jar:jar',
      'dependency:copy-dependencies',
      `-Doutput=${output}`,
    ],
    sources,
  )
}

export async function runPeer<M extends PeerMode>(
  mode: M,
  options: PeerOptions,
): Promise<Reports[M]> {
  return reportOf(`the peer’s ${mode}`, await spawnPeer(mode, options, 'ignore'))
}

/** Writes orders as Java's client does: keyed, stamped with their own time, over `partitions` (4 by default). */
export async function loadPeerInput(load: {
  readonly bootstrap: string
  readonly topic: string
  readonly partitions?: number
  readonly orders: Iterable<Order>
}): Promise<number> {
  const { bootstrap, topic, partitions = 4, orders } = load
  const child = await spawnPeer('load', { bootstrap, topic, partitions }, 'pipe')
  const { stdin } = child
  if (stdin === undefined) throw new Error('the peer has no input')
  let lines = ''
  for (const order of orders) {
    lines += `${order.timestamp}\t${order.item_id}\t${JSON.stringify(order)}\n`
    if (lines.length < 1 << 20) continue
    stdin.write(lines)
    await stdin.flush()
    lines = ''
  }
  stdin.write(lines)
  await stdin.end()
  return (await reportOf<{ readonly records: number }>('the peer’s load', child)).records
}

export type ServingPeer = Serving<PeerReport>

/** Resolves when the program is running. */
export async function servePeer(mode: PeerProgram, options: PeerOptions): Promise<ServingPeer> {
  return serving(`the peer’s ${mode}`, await spawnPeer(mode, { ...options, serve: true }, 'pipe'))
}

async function spawnPeer(
  mode: string,
  options: PeerOptions,
  stdin: 'pipe' | 'ignore',
): Promise<ReportProcess> {
  const { heap = HEAP_MAX_MB, ...rest } = options
  const flags = Object.entries(rest).flatMap(([name, value]) =>
    value === true ? [`--${name}`] : [`--${name}`, String(value)],
  )
  const quiet = '-Dorg.slf4j.simpleLogger.defaultLogLevel=error'
  const jars = join(await peerJars(), '*')
  const command = ['java', `-Xmx${heap}m`, quiet, '-cp', jars, 'Peer', mode, ...flags]
  return Bun.spawn(command, { stdin, stdout: 'pipe', stderr: 'inherit' }) as ReportProcess
}

if (import.meta.main) {
  const [mode = '', ...flags] = process.argv.slice(2)
  const command = ['java', `-Xmx${HEAP_MAX_MB}m`, '-cp', join(await peerJars(), '*'), 'Peer', mode]
  const child = Bun.spawn([...command, ...flags], { stdio: ['inherit', 'inherit', 'inherit'] })
  process.exitCode = await child.exited
}
