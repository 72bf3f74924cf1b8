/**
 * The engine, or a loop on the client library, doing a program's work on a real broker: one JSON argument, a `SideOrder`.
 *
 * Run as a program, so that processor time and memory are those of a whole process, as Java's are. One line of JSON is the
 * report, with the names of `PeerReport`; `{"ready":true}` comes first where `serve` keeps it up until its input ends.
 */
import { join } from 'node:path'
import { openLog, partitionKey, type Log, type TopicPartition } from '#log'
import { Streams } from '#runtime'
import { string, bytes, StreamsBuilder, topic, type Topology } from '#topology'
import { topologySettings } from './child.ts'
import { ClientLoop } from './client-loop.ts'
import { KAFKA_PROGRAMS, type KafkaProgramName } from './kafka-programs.ts'
import type { PeerReport, ServingPeer } from './peers/kafka-streams/peer.ts'
import { peakBytesOf } from './process-usage.ts'
import { reportOf, serving } from './report-process.ts'

export interface SideOrder {
  readonly side: 'engine' | 'loop'
  /** `restore`: a table called `rows` is rebuilt from its changelog, and nothing else. */
  readonly program: KafkaProgramName | 'restore'
  readonly bootstrap: string
  readonly app: string
  readonly input: string
  readonly output: string
  readonly state: string
  readonly serve?: boolean
}

const PARTITIONS = [0, 1, 2, 3]
const POLL_MS = 50

function spawnSide(order: SideOrder): Bun.Subprocess<'pipe', 'pipe', 'inherit'> {
  return Bun.spawn([process.execPath, import.meta.path, JSON.stringify(order)], {
    cwd: join(import.meta.dir, '..'),
    env: { ...process.env, ...topologySettings() },
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'inherit',
  })
}

export async function runSide(order: SideOrder): Promise<PeerReport> {
  return reportOf(`the ${order.side} at ${order.program}`, spawnSide(order))
}

/** Resolves when it is running. */
export async function serveSide(order: SideOrder): Promise<ServingPeer> {
  return serving(order.app, spawnSide({ ...order, serve: true }))
}

function topologyOf({ program, app, input, output }: SideOrder): Topology {
  if (program !== 'restore') return KAFKA_PROGRAMS[program].topology(app, input, output)
  const builder = new StreamsBuilder(app)
  builder
    .stream(topic(input, { key: string(), value: bytes() }))
    .toTable('rows', { value: bytes() })
  return builder.build()
}

/** Commits, as the engine tells of them. */
class Commits {
  count = 0
  longestMs = 0
  waitMs = 0

  add(durationMs: number): void {
    this.count += 1
    this.waitMs += durationMs
    this.longestMs = Math.max(this.longestMs, durationMs)
  }
}

async function runEngine(order: SideOrder): Promise<object> {
  const log = await openLog(`kafka://${order.bootstrap}`)
  const startedMs = performance.now()
  const commits = new Commits()
  const restored = { records: 0, fromMs: Number.POSITIVE_INFINITY, toMs: 0 }
  const streams = new Streams(topologyOf(order), {
    log,
    stateDir: order.state,
    observer: (happening) => {
      if (happening.kind === 'failed') fail(happening.error)
      if (happening.kind === 'dead-letter') fail(happening.error)
      if (happening.kind === 'recovering') fail(happening.cause)
      if (happening.kind === 'commit') commits.add(happening.durationMs)
      if (happening.kind !== 'restored') return
      restored.records += happening.records
      restored.fromMs = Math.min(restored.fromMs, performance.now() - happening.durationMs)
      restored.toMs = performance.now()
    },
  })
  await streams.start()
  const startMs = performance.now() - startedMs
  if (order.serve === true) await untilTold()
  else if (order.program !== 'restore') await untilCommitted(log, order)
  const used = process.cpuUsage()
  const wallMs = performance.now() - startedMs
  const records = order.program === 'restore' ? restored.records : await endsOf(log, order.input)
  return {
    records,
    startMs,
    ...used,
    wallMs,
    commits: commits.count,
    commitAverageMs: commits.count === 0 ? 0 : commits.waitMs / commits.count,
    commitLongestMs: commits.longestMs,
    commitWaitMs: commits.waitMs,
    ...(order.program === 'restore' && {
      restored: restored.records,
      restoreMs: restored.toMs - restored.fromMs,
    }),
  }
}

async function runLoop(order: SideOrder): Promise<object> {
  if (order.program === 'restore') throw new Error('a loop restores nothing')
  const { loop } = KAFKA_PROGRAMS[order.program]
  if (loop === undefined) throw new Error(`${order.program} has no loop`)
  const log = await openLog(`kafka://${order.bootstrap}`)
  const records = await endsOf(log, order.input)
  const changelogs = loop.stores.map((store) => `${order.app}-${store}-changelog`)
  const [partitions, config] = [PARTITIONS.length, { 'cleanup.policy': 'compact' }]
  await log.createTopics(changelogs.map((topic) => ({ topic, partitions, config })))
  await log.close()
  const startedMs = performance.now()
  const client = await ClientLoop.start({ ...order, ...loop, body: loop.body() })
  const startMs = performance.now() - startedMs
  const commits = await client.run(records)
  const used = process.cpuUsage()
  return { records, startMs, ...used, wallMs: performance.now() - startedMs, commits }
}

async function untilCommitted(log: Log, { app, input }: SideOrder): Promise<void> {
  const inputs = PARTITIONS.map((partition): TopicPartition => ({ topic: input, partition }))
  const ends = await Promise.all(inputs.map((each) => log.endOffset(each, 'read-committed')))
  for (;;) {
    const committed = await log.committedOffsets(app, inputs)
    const offsets = inputs.map((each) => committed.get(partitionKey(each))?.offset ?? 0)
    if (offsets.every((offset, n) => offset >= (ends[n] ?? 0))) return
    await Bun.sleep(POLL_MS)
  }
}

async function endsOf(log: Log, topic: string): Promise<number> {
  const ends = PARTITIONS.map((partition) => log.endOffset({ topic, partition }, 'read-committed'))
  return (await Promise.all(ends)).reduce((sum, end) => sum + end, 0)
}

/** The order to end is the end of standard input. */
async function untilTold(): Promise<void> {
  console.log(JSON.stringify({ ready: true }))
  await Bun.stdin.text()
}

function fail(error: unknown): never {
  console.error(error)
  process.exit(1)
}

if (import.meta.main) {
  const order = JSON.parse(process.argv[2] ?? '') as SideOrder
  const before = process.cpuUsage()
  const { user, system, ...report } = (await (order.side === 'engine'
    ? runEngine(order)
    : runLoop(order))) as { user: number; system: number }
  const told = {
    mode: order.program,
    ...report,
    cpuUserMs: (user - before.user) / 1_000,
    cpuSystemMs: (system - before.system) / 1_000,
    cpuUserMsWithStart: user / 1_000,
    cpuSystemMsWithStart: system / 1_000,
    memoryPeakBytes: peakBytesOf('self'),
  }
  console.log(JSON.stringify(told))
  // Not measured: the farewell to the group.
  process.exit(0)
}
