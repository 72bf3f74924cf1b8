/**
 * Compares sides that do the same work, in one process, in alternating rounds, by the CPU time of the whole process.
 *
 * Invariant: every side did the same work in every round, by checksum; a round that differs throws.
 */
import { figureOf, type Figure } from './figure.ts'

export interface Side {
  readonly name: string
  /** Whatever must be there before the clock starts. */
  prepare?(round: number): Promise<void>
  /** The work that is measured. */
  run(round: number): Promise<void>
  /** After the clock has stopped: a checksum of what was done, and making ready for the next round. */
  check(round: number): Promise<string>
}

export interface Rounds {
  readonly counted: number
  readonly warmUps: number
}

export interface Floor {
  readonly of: string
  readonly against: string
  readonly floor?: number
}

interface Sample {
  readonly cpuMs: number
  readonly wallMs: number
}

/** Records a CPU-second of each side, and the ratios asked for: how much of `against`'s speed `of` has. */
export async function compare(
  bench: string,
  sides: readonly Side[],
  options: {
    readonly rounds: Rounds
    readonly records: number
    readonly ratios: readonly Floor[]
    readonly note?: () => string
  },
): Promise<readonly Figure[]> {
  const { rounds, records } = options
  const samples = new Map<string, Sample[]>(sides.map(({ name }) => [name, []]))
  let checksum = ''
  for (let round = 0; round < rounds.warmUps + rounds.counted; round += 1) {
    const turn = round % sides.length
    const checks: string[] = []
    for (const side of [...sides.slice(turn), ...sides.slice(0, turn)]) {
      const sample = await measure(side, round)
      checks.push(await side.check(round))
      if (round >= rounds.warmUps) samples.get(side.name)?.push(sample)
    }
    checksum = checks[0] ?? ''
    if (checks.some((check) => check !== checksum)) {
      throw new Error(`${bench}: the sides did not do the same work: ${checks.join(' ')}`)
    }
  }
  const of = (name: string): readonly Sample[] => samples.get(name) ?? []
  const speeds = sides.flatMap(({ name }) => {
    const rest = { bench, checksum }
    const cpu = of(name).map(({ cpuMs }) => records / cpuMs)
    const wall = of(name).map(({ wallMs }) => records / wallMs)
    return [
      figureOf(cpu, { ...rest, name, unit: 'thousand records a CPU-second' }),
      figureOf(wall, { ...rest, name, unit: 'thousand records a second' }),
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
      ...(options.note !== undefined && { note: options.note() }),
    })
  })
  return [...speeds, ...ratios]
}

async function measure(side: Side, round: number): Promise<Sample> {
  await side.prepare?.(round)
  // One side does not pay for what another has left behind.
  Bun.gc(true)
  const startedMs = performance.now()
  const before = process.cpuUsage()
  await side.run(round)
  const { user, system } = process.cpuUsage(before)
  return { cpuMs: (user + system) / 1_000, wallMs: performance.now() - startedMs }
}
