/**
 * Compares sides that do the same work, in alternating rounds, by the CPU time of the whole process.
 *
 * Invariant: every side did the same work in every round, by checksum; a round that differs throws.
 */
import { figureOf, type Figure } from './figure.ts'

/** What a side is told for a round. */
export interface Round {
  /** From 0; the first ones warm up. */
  readonly number: number
  /** How many records the last engine put into one commit; undefined where there are no commits, or none yet. */
  readonly commitRecords: number | undefined
}

export interface Sample {
  readonly cpuMs: number
  readonly wallMs: number
  /** Of what was done. */
  readonly checksum: string
  readonly commitRecords?: number | undefined
}

export interface Side {
  readonly name: string
  round(round: Round): Promise<Sample>
  close(): Promise<void>
}

/** The parts of a round on this process: only `run` is measured. */
export interface Work {
  /** Whatever must be there before the clock starts. */
  prepare(round: Round): Promise<void>
  run(round: Round): Promise<void>
  /** After the clock has stopped: what was done, and making ready for the next round. */
  check(round: Round): Promise<Pick<Sample, 'checksum' | 'commitRecords'>>
}

export interface Rounds {
  readonly counted: number
  /** At least one. */
  readonly warmUps: number
}

/** How much of the speed of `against` is asked of `of`. */
export interface Ratio {
  readonly of: string
  readonly against: string
  readonly floor?: number
}

/** Records a second of each side, by CPU and by clock, and the ratios. The first side is the first to go. */
export async function compare(
  bench: string,
  sides: readonly Side[],
  options: {
    readonly rounds: Rounds
    readonly records: number
    readonly ratios: readonly Ratio[]
  },
): Promise<readonly Figure[]> {
  const { rounds, records } = options
  const samples = new Map<string, Sample[]>(sides.map(({ name }) => [name, []]))
  let commitRecords: number | undefined
  let checksum = ''
  for (let number = 0; number < rounds.warmUps + rounds.counted; number += 1) {
    const turn = number % sides.length
    checksum = ''
    for (const side of [...sides.slice(turn), ...sides.slice(0, turn)]) {
      const sample = await side.round({ number, commitRecords })
      commitRecords = sample.commitRecords ?? commitRecords
      if (number >= rounds.warmUps) samples.get(side.name)?.push(sample)
      if (checksum !== '' && checksum !== sample.checksum) {
        throw new Error(`${bench}: ${side.name} did other work than the side before it`)
      }
      checksum = sample.checksum
    }
  }
  for (const side of sides) await side.close()
  const of = (name: string): readonly Sample[] => samples.get(name) ?? []
  const speeds = sides.flatMap(({ name }) => {
    const rest = { bench, name, checksum }
    const cpu = of(name).map(({ cpuMs }) => records / cpuMs)
    const wall = of(name).map(({ wallMs }) => records / wallMs)
    return [
      figureOf(cpu, { ...rest, unit: 'thousand records a CPU-second' }),
      figureOf(wall, { ...rest, unit: 'thousand records a second' }),
    ]
  })
  const ratios = options.ratios.map(({ of: name, against, floor }) => {
    const other = of(against)
    const values = of(name).map(({ cpuMs }, n) => (other[n]?.cpuMs ?? Number.NaN) / cpuMs)
    return figureOf(values, {
      bench,
      name: `${name} against ${against}`,
      unit: 'of its speed, by CPU time',
      checksum,
      ...(floor !== undefined && { floor }),
      ...(commitRecords !== undefined && { note: `a commit every ${commitRecords} records` }),
    })
  })
  return [...speeds, ...ratios]
}

export async function measure(work: Work, round: Round): Promise<Sample> {
  await work.prepare(round)
  // One side does not pay for what another has left behind.
  Bun.gc(true)
  const startedMs = performance.now()
  const before = process.cpuUsage()
  await work.run(round)
  const { user, system } = process.cpuUsage(before)
  const wallMs = performance.now() - startedMs
  return { cpuMs: (user + system) / 1_000, wallMs, ...(await work.check(round)) }
}
