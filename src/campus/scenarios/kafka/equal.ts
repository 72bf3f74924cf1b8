/**
 * `kafka-equal`: the same recorded orders and restocks through the embedded log and through Kafka, with one process and with
 * three, give the same verdicts: key, value, headers, timestamp and order, partition by partition.
 *
 * Invariant: the record is complete before anybody reads it, so that nothing but the program can make a difference; three
 * processes are given their places before it begins, so that three really share it.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLog, readBatchHeader, Streams, type Log } from '#millrace'
import { startCluster } from '#kafka-for-tests'
import { inventoryTopology } from '../../inventory.ts'
import { inventoryLag } from '../../inventory-lag.ts'
import { readVerdicts, type Verdicts } from '../../test-helper/read-verdicts.ts'
import { record, recordedTopics } from '../../test-helper/recording.ts'
import { inventoryEvents } from '../../topics.ts'
import { Application } from '../application.ts'
import { printTable, verdict } from '../report.ts'
import { holders, waitUntil } from './watch.ts'

const PARTITIONS = 4
const FLAGS = ['--role', 'worker', '--only', 'inventory']
const WAIT_MS_MAX = 300_000
const BYTES_MAX = 4 << 20

export interface EqualRun extends Verdicts {
  readonly name: string
  /** Who wrote the verdicts: one a process, on Kafka. */
  readonly writers: number
  readonly tookMs: number
}

export async function kafkaEqual(options: {
  readonly orders: number
  readonly seed: number
}): Promise<number> {
  const runs = await equalRuns(options.orders, options.seed)
  printTable(
    'kafka-equal',
    runs.flatMap(({ name, report, writers, tookMs }) => [
      [`${name}: orders decided`, report.reserved + report.failed] as const,
      [`${name}: repeats dropped`, report.repeats] as const,
      [`${name}: processes that wrote`, writers] as const,
      [`${name}: took`, `${(tookMs / 1000).toFixed(1)} s`] as const,
    ]),
  )
  return verdict(differences(runs))
}

/** What is wrong with any of them, or not the same in all. */
export function differences(runs: readonly EqualRun[]): readonly string[] {
  const [first] = runs
  return runs.flatMap(({ name, digests, report }) => [
    ...report.violations.map((violation) => `${name}: ${violation}`),
    ...Array.from({ length: PARTITIONS }, (_, partition) => partition).flatMap((partition) =>
      digests.get(partition) === first?.digests.get(partition)
        ? []
        : [`${name}: partition ${partition} is not what it is in ${first?.name}`],
    ),
  ])
}

export async function equalRuns(count: number, seed: number): Promise<readonly EqualRun[]> {
  return [await embedded(count, seed), await onKafka(count, seed, 1), await onKafka(count, seed, 3)]
}

async function embedded(count: number, seed: number): Promise<EqualRun> {
  const folder = mkdtempSync(join(tmpdir(), 'campus-equal-'))
  const log = await openLog(`sqlite:${join(folder, 'campus.db')}`, { durability: 'process' })
  try {
    await record(log, count, seed)
    const startedMs = performance.now()
    const streams = new Streams(inventoryTopology, { log, stateDir: join(folder, 'state') })
    await streams.start()
    await decided(log)
    const tookMs = performance.now() - startedMs
    await streams.close()
    return { name: 'embedded', ...(await read(log)), tookMs }
  } finally {
    await log.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function onKafka(count: number, seed: number, processes: number): Promise<EqualRun> {
  const cluster = await startCluster()
  const url = `kafka://${cluster.bootstrap}`
  const log = await openLog(url)
  const all = Array.from({ length: processes }, () => new Application(FLAGS, url))
  try {
    await log.createTopics(recordedTopics())
    await Promise.all(all.map((one) => one.start()))
    await waitUntil(async () => isShared(log, processes), WAIT_MS_MAX)
    // Their places are kept for the length of a session.
    await Promise.all(all.map((one) => one.stop()))
    await record(log, count, seed)
    const startedMs = performance.now()
    await Promise.all(all.map((one) => one.start()))
    await decided(log)
    const tookMs = performance.now() - startedMs
    await Promise.all(all.map((one) => one.stop()))
    return { name: `Kafka, ${processes} processes`, ...(await read(log)), tookMs }
  } finally {
    await Promise.all(all.map((one) => one.remove()))
    await log.close()
    await cluster.down()
  }
}

async function isShared(log: Log, processes: number): Promise<boolean> {
  const held = [...(await holders(log)).values()]
  return held.length === processes && held.every((partitions) => partitions.length > 0)
}

async function decided(log: Log): Promise<void> {
  const isDone = async (): Promise<boolean> => (await inventoryLag(log, PARTITIONS)) === 0
  if (!(await waitUntil(isDone, WAIT_MS_MAX))) throw new TypeError('it did not catch up')
}

async function read(log: Log): Promise<Verdicts & Pick<EqualRun, 'writers'>> {
  return { ...(await readVerdicts(log)), writers: (await writersOf(log)).size }
}

async function writersOf(log: Log): Promise<ReadonlySet<number>> {
  const writers = new Set<number>()
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    const place = { topic: inventoryEvents.name, partition }
    const end = await log.endOffset(place, 'read-committed')
    const reader = log.reader()
    reader.assign([{ ...place, position: await log.earliestOffset(place) }])
    while ((reader.progress(place)?.position ?? 0) < end)
      for (const { bytes } of await reader.poll({ waitMs: 0, bytesMax: BYTES_MAX }))
        writers.add(readBatchHeader(bytes).producerId)
    await reader.close()
  }
  return writers
}
