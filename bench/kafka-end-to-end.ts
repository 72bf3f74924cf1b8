/**
 * One program on a real broker, exactly once with a commit every 100 ms: as the engine, as Java Kafka Streams with RocksDB, and
 * as a loop on the client library. Whole processes, that read the same records from four partitions, in turns.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { startCluster, type Cluster } from '#kafka-for-tests'
import { createTopic } from '#kafka-for-tests/tools'
import { figureOf, type Figure } from './figure.ts'
import { KAFKA_PROGRAMS, type KafkaProgram, type KafkaProgramName } from './kafka-programs.ts'
import { runSide } from './kafka-side.ts'
import { ordersFrom } from './orders.ts'
import { loadPeerInput, runPeer, type PeerReport } from './peers/kafka-streams/peer.ts'
import { cpuMsOf } from './process-usage.ts'
import type { Rounds } from './rounds.ts'

const INPUT = 'orders'
const PARTITIONS = 4
const MB = 2 ** 20
/** What the engine may have had resident at most. */
const PEAK_MB_MAX = 350

export interface KafkaEndToEndOptions {
  readonly program: KafkaProgramName
  readonly records: number
  readonly rounds: Rounds
}

interface Sample {
  readonly report: PeerReport
  /** Processor time of the broker while the side ran. */
  readonly brokerMs: number
  readonly load: number
}

export async function kafkaEndToEnd(options: KafkaEndToEndOptions): Promise<readonly Figure[]> {
  const { program, records } = options
  const cluster = await startCluster()
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  try {
    const { bootstrap } = cluster
    const orders = ordersFrom(0, records)
    await loadPeerInput({ bootstrap, topic: INPUT, partitions: PARTITIONS, orders })
    return await new Comparison(program, cluster, folder, options).run()
  } finally {
    await cluster.down()
    rmSync(folder, { recursive: true, force: true })
  }
}

class Comparison {
  readonly #name: KafkaProgramName
  readonly #program: KafkaProgram
  readonly #cluster: Cluster
  readonly #folder: string
  readonly #options: KafkaEndToEndOptions
  readonly #samples: Map<string, Sample[]> = new Map()
  #checksum: string | undefined

  constructor(
    name: KafkaProgramName,
    cluster: Cluster,
    folder: string,
    options: KafkaEndToEndOptions,
  ) {
    this.#name = name
    this.#program = KAFKA_PROGRAMS[name]
    this.#cluster = cluster
    this.#folder = folder
    this.#options = options
  }

  async run(): Promise<readonly Figure[]> {
    const { counted, warmUps } = this.#options.rounds
    const sides = ['engine', 'kafka-streams', ...(this.#program.loop === undefined ? [] : ['loop'])]
    for (let number = 0; number < warmUps + counted; number += 1) {
      for (const side of sides) {
        const sample = await this.#round(side, number)
        if (number < warmUps) continue
        this.#samples.set(side, [...(this.#samples.get(side) ?? []), sample])
      }
    }
    return this.#figures(sides)
  }

  async #round(side: string, number: number): Promise<Sample> {
    const { bootstrap } = this.#cluster
    const app = `${this.#name}-${side}-${number}`
    const output = `${app}-output`
    const state = join(this.#folder, app)
    await createTopic({ bootstrap, topic: output, partitions: PARTITIONS })
    const brokerBeforeMs = await this.#brokerMs()
    const report = await this.#run(side, { bootstrap, app, input: INPUT, output, state })
    const brokerMs = (await this.#brokerMs()) - brokerBeforeMs
    if (report.records !== this.#options.records) {
      throw new Error(`${app} has taken ${report.records} records`)
    }
    const load = loadavg()[0] ?? Number.NaN
    const { records, wallMs, memoryPeakBytes } = report
    const rates = [records / cpuMsOfSide(report), records / wallMs].map((rate) => rate.toFixed(1))
    const peak = `${(memoryPeakBytes / MB).toFixed(0)} MB, broker ${(brokerMs / 1_000).toFixed(1)} s`
    // A run takes long, and may be cut short.
    console.error(`${app}: ${rates.join(' / ')} k/s, ${peak}, load average ${load.toFixed(1)}`)
    await this.#check(side, app, output)
    rmSync(state, { recursive: true, force: true })
    return { report, brokerMs, load }
  }

  #run(
    side: string,
    places: Record<'bootstrap' | 'app' | 'input' | 'output' | 'state', string>,
  ): Promise<PeerReport> {
    const { program, options } = this.#program.peer
    if (side === 'kafka-streams') return runPeer(program, { ...places, ...options })
    return runSide({ side: side as 'engine' | 'loop', program: this.#name, ...places })
  }

  /** What comes out is the same on all sides and in all rounds. */
  async #check(side: string, app: string, output: string): Promise<void> {
    const { bootstrap } = this.#cluster
    const check = await runPeer('check', { bootstrap, topic: output })
    const found = check[this.#program.compared]
    this.#checksum ??= found
    if (found !== this.#checksum) throw new Error(`${app}: ${side} has done other work`)
  }

  async #brokerMs(): Promise<number> {
    const [broker] = await this.#cluster.status()
    return broker?.pid === undefined ? Number.NaN : cpuMsOf(broker.pid)
  }

  #figures(sides: readonly string[]): readonly Figure[] {
    const { records } = this.#options
    const bench = `kafka-${this.#name}`
    const checksum = this.#checksum ?? ''
    const of = (side: string, value: (sample: Sample) => number): readonly number[] =>
      (this.#samples.get(side) ?? []).map(value)
    const figures = sides.flatMap((side): readonly Figure[] => {
      const figure = (
        what: string,
        unit: string,
        value: (sample: Sample) => number,
        rest: Partial<Figure> = {},
      ): Figure =>
        figureOf(of(side, value), { bench, name: `${side}${what}`, unit, checksum, ...rest })
      const note = `load average ${of(side, ({ load }) => load)
        .map((load) => load.toFixed(1))
        .join(', ')}`
      const peak = side === 'engine' ? { ceiling: PEAK_MB_MAX } : {}
      return [
        figure('', 'thousand records a CPU-second', ({ report }) => records / cpuMsOfSide(report), {
          note,
        }),
        figure(', by the clock', 'thousand records a second', ({ report }) => {
          return records / report.wallMs
        }),
        figure(', peak memory', 'MB', ({ report }) => report.memoryPeakBytes / MB, peak),
        figure(', the broker’s share', 'CPU-seconds', ({ brokerMs }) => brokerMs / 1_000),
      ]
    })
    const { floor } = this.#program
    return [...figures, ...ratiosOf(bench, of, sides, { checksum, floor })]
  }
}

function ratiosOf(
  bench: string,
  of: (side: string, value: (sample: Sample) => number) => readonly number[],
  sides: readonly string[],
  { floor, checksum }: { readonly floor: number; readonly checksum: string },
): readonly Figure[] {
  const engine = of('engine', ({ report }) => cpuMsOfSide(report))
  return sides.slice(1).map((side) => {
    const other = of(side, ({ report }) => cpuMsOfSide(report))
    const values = engine.map((cpuMs, n) => (other[n] ?? Number.NaN) / cpuMs)
    const unit = 'times its speed, by CPU time'
    const asked = side === 'kafka-streams' ? { floor } : {}
    return figureOf(values, { bench, name: `engine against ${side}`, unit, checksum, ...asked })
  })
}

/** From the start of the program to its last commit. */
export function cpuMsOfSide({ cpuUserMs, cpuSystemMs }: PeerReport): number {
  return cpuUserMs + cpuSystemMs
}
