/**
 * A store is rebuilt from its changelog on a real broker, into an empty folder: a million records over 100,000 keys in four
 * partitions, by the engine and by Java Kafka Streams, in turns.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { startCluster } from '#kafka-for-tests'
import { openLog } from '#log'
import { figureOf, type Figure } from './figure.ts'
import { cpuMsOfSide } from './kafka-end-to-end.ts'
import { runSide } from './kafka-side.ts'
import { runPeer, type PeerReport } from './peers/kafka-streams/peer.ts'
import type { Rounds } from './rounds.ts'

const BENCH = 'kafka-restore'
const SIDES = ['engine', 'kafka-streams'] as const
/** How much of the rate of Kafka Streams is asked. */
const FLOOR = 2
const PARTITIONS = [0, 1, 2, 3]
const MB = 2 ** 20

type Side = (typeof SIDES)[number]

interface Sample {
  readonly report: PeerReport
  readonly load: number
}

export async function kafkaRestore(options: {
  readonly records: number
  readonly keys: number
  readonly rounds: Rounds
}): Promise<readonly Figure[]> {
  const { records, keys, rounds } = options
  const cluster = await startCluster()
  const { bootstrap } = cluster
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  const samples = new Map<Side, Sample[]>(SIDES.map((side) => [side, []]))
  try {
    for (const side of SIDES) {
      await runPeer('fill-changelog', {
        bootstrap,
        app: side,
        input: `${side}-input`,
        records,
        keys,
      })
    }
    await commitNothing(bootstrap, 'engine')
    for (let number = 0; number < rounds.warmUps + rounds.counted; number += 1) {
      for (const side of SIDES) {
        const state = join(folder, `${side}-${number}`)
        const places = { bootstrap, app: side, input: `${side}-input`, state }
        const report =
          side === 'engine'
            ? await runSide({ side, program: 'restore', output: '', ...places })
            : await runPeer('restore', places)
        rmSync(state, { recursive: true, force: true })
        if (report.restored !== records) throw new Error(`${side} restored ${report.restored}`)
        const [restoreMs, load] = [report.restoreMs?.toFixed(0), loadavg()[0]?.toFixed(1)]
        // A run takes long, and may be cut short.
        console.error(`${side}-${number}: ${restoreMs} ms, load average ${load}`)
        const sample = { report, load: loadavg()[0] ?? Number.NaN }
        if (number >= rounds.warmUps) samples.get(side)?.push(sample)
      }
    }
  } finally {
    await cluster.down()
    rmSync(folder, { recursive: true, force: true })
  }
  return figuresOf((side) => samples.get(side) ?? [], records)
}

/** A changelog without committed offsets would be the remains of an application that was reset. */
async function commitNothing(bootstrap: string, app: string): Promise<void> {
  const log = await openLog(`kafka://${bootstrap}`)
  const writer = await log.writer({ transactionalId: app })
  const offsets = PARTITIONS.map((partition) => {
    return { topic: `${app}-input`, partition, offset: 0, metadata: '' }
  })
  const { outcome } = await writer.commit({ appends: [], groupId: app, member: undefined, offsets })
  if (outcome !== 'committed') throw new Error(`the offsets are ${outcome}`)
  await writer.close()
  await log.close()
}

function figuresOf(of: (side: Side) => readonly Sample[], records: number): readonly Figure[] {
  const rateOf = ({ report }: Sample): number => records / (report.restoreMs ?? Number.NaN)
  const checksum = `${records} records`
  const figures = SIDES.flatMap((side) => {
    const figure = (what: string, unit: string, value: (sample: Sample) => number): Figure =>
      figureOf(of(side).map(value), {
        bench: BENCH,
        name: `${side}${what}`,
        unit,
        checksum,
        note: `load average ${of(side)
          .map(({ load }) => load.toFixed(1))
          .join(', ')}`,
      })
    return [
      figure('', 'thousand records a second', rateOf),
      figure(', by CPU time', 'thousand records a CPU-second', ({ report }) => {
        return records / cpuMsOfSide(report)
      }),
      figure(', peak memory', 'MB', ({ report }) => report.memoryPeakBytes / MB),
    ]
  })
  const other = of('kafka-streams').map(rateOf)
  const values = of('engine').map((sample, n) => rateOf(sample) / (other[n] ?? Number.NaN))
  const name = 'engine against kafka-streams'
  const unit = 'times its rate'
  return [...figures, figureOf(values, { bench: BENCH, name, unit, checksum, floor: FLOOR })]
}
