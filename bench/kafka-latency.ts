/**
 * How long an order takes through a program on a real broker: 2,000 a second, whether or not anything comes back, from when each
 * should have been sent until a read-committed consumer has its verdict. The engine and Java Kafka Streams, in turns.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { startCluster } from '#kafka-for-tests'
import { createTopic } from '#kafka-for-tests/tools'
import { figureOf, type Figure } from './figure.ts'
import { KAFKA_PROGRAMS } from './kafka-programs.ts'
import { serveSide } from './kafka-side.ts'
import {
  runPeer,
  servePeer,
  type PeerLatency,
  type PeerReport,
} from './peers/kafka-streams/peer.ts'
import type { Rounds } from './rounds.ts'

const BENCH = 'kafka-latency'
const PROGRAM = 'reserve'
const PARTITIONS = 4
const SIDES = ['engine', 'kafka-streams'] as const
/** How much of Kafka Streams' time the engine may take. */
const P50_MAX = 0.35
const P99_MAX = 0.5

type Side = (typeof SIDES)[number]

interface Sample {
  readonly latency: PeerLatency
  readonly report: PeerReport
  readonly load: number
}

export interface KafkaLatencyOptions {
  readonly rate: number
  readonly seconds: number
  readonly warmUpSeconds: number
  readonly rounds: Rounds
}

export async function kafkaLatency(options: KafkaLatencyOptions): Promise<readonly Figure[]> {
  const { counted, warmUps } = options.rounds
  const cluster = await startCluster()
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  const samples = new Map<Side, Sample[]>(SIDES.map((side) => [side, []]))
  try {
    for (let number = 0; number < warmUps + counted; number += 1) {
      for (const side of SIDES) {
        const app = `${side}-${number}`
        const sample = await sampleOf(side, app, cluster.bootstrap, join(folder, app), options)
        const { p50Ms, p99Ms } = sample.latency
        const load = `load average ${sample.load.toFixed(1)}`
        // A run takes long, and may be cut short.
        console.error(`${app}: p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms, ${load}`)
        if (number >= warmUps) samples.get(side)?.push(sample)
      }
    }
  } finally {
    await cluster.down()
    rmSync(folder, { recursive: true, force: true })
  }
  return figuresOf((side) => samples.get(side) ?? [], options)
}

async function sampleOf(
  side: Side,
  app: string,
  bootstrap: string,
  state: string,
  { rate, seconds, warmUpSeconds }: KafkaLatencyOptions,
): Promise<Sample> {
  const [input, output] = [`${app}-input`, `${app}-output`]
  for (const topic of [input, output])
    await createTopic({ bootstrap, topic, partitions: PARTITIONS })
  const places = { bootstrap, app, input, output, state }
  const serving =
    side === 'engine'
      ? await serveSide({ side, program: PROGRAM, ...places })
      : await servePeer('reserve', { ...places, ...KAFKA_PROGRAMS[PROGRAM].peer.options })
  const open = { bootstrap, input, output, rate, seconds, 'warm-up': warmUpSeconds }
  const latency = await runPeer('open-loop', open)
  const report = await serving.stop()
  return { latency, report, load: loadavg()[0] ?? Number.NaN }
}

function figuresOf(
  of: (side: Side) => readonly Sample[],
  { rate, seconds }: KafkaLatencyOptions,
): readonly Figure[] {
  const note = `${rate} records a second for ${seconds} s`
  const times = SIDES.flatMap((side) => {
    const figure = (name: string, value: (sample: Sample) => number, more = note): Figure =>
      figureOf(of(side).map(value), {
        bench: BENCH,
        name: `${side}, ${name}`,
        unit: 'ms',
        note: more,
      })
    const loads = of(side).map(({ load }) => load.toFixed(1))
    return [
      figure('p50', ({ latency }) => latency.p50Ms, `load average ${loads.join(', ')}`),
      figure('p99', ({ latency }) => latency.p99Ms),
      figure('longest', ({ latency }) => latency.maxMs),
      figure('a commit', ({ report }) => report.commitAverageMs),
      figure('longest commit', ({ report }) => report.commitLongestMs),
      figure('inside commits', ({ report }) => report.commitWaitMs, 'in all, warm-up included'),
    ]
  })
  const ratio = (
    name: string,
    value: (latency: PeerLatency) => number,
    ceiling: number,
  ): Figure => {
    const other = of('kafka-streams').map(({ latency }) => value(latency))
    const values = of('engine').map(({ latency }, n) => value(latency) / (other[n] ?? Number.NaN))
    const unit = 'of its time'
    return figureOf(values, {
      bench: BENCH,
      name: `engine against kafka-streams, ${name}`,
      unit,
      ceiling,
    })
  }
  return [
    ...times,
    ratio('p50', ({ p50Ms }) => p50Ms, P50_MAX),
    ratio('p99', ({ p99Ms }) => p99Ms, P99_MAX),
  ]
}
