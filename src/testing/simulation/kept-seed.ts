/**
 * A failing run as one line of a file that always runs, smallest first:
 *
 *     counting 1074 members=2 partitions=1 inputs=8 steps=200 faults=crash,pause  # worker: i0.1 has ended
 *
 * Invariant: what was written reads as the same; a line that does not is an error with its number.
 */
import { assert } from '#system'
import { FAULTS, type FaultName } from './fault-plan.ts'
import type { SimulationOptions } from './simulation-options.ts'

export type KeptOptions = Pick<
  SimulationOptions,
  'seed' | 'members' | 'partitions' | 'inputs' | 'steps' | 'faults'
>

export interface KeptSeed {
  /** Which of the known topologies. */
  readonly name: string
  readonly options: KeptOptions
}

const NUMBERS = ['members', 'partitions', 'inputs', 'steps'] as const

export function keptLine({ name, options }: KeptSeed, why: string): string {
  const numbers = NUMBERS.flatMap((key) =>
    options[key] === undefined ? [] : [`${key}=${options[key]}`],
  )
  const faults = options.faults === undefined ? [] : [`faults=${options.faults.join(',')}`]
  return `${[name, options.seed, ...numbers, ...faults].join(' ')}  # ${why}`
}

export function readKeptSeeds(text: string): readonly KeptSeed[] {
  return text.split('\n').flatMap((line, index) => {
    const [content = ''] = line.split('#')
    const [name, seed, ...settings] = content.trim().split(/\s+/)
    if (name === undefined || name === '') return []
    const given = Object.fromEntries(settings.map((setting) => setting.split('=')))
    const options: Record<string, unknown> = { seed: Number(seed) }
    assert(Number.isSafeInteger(options['seed']), `line ${index + 1} has a seed`)
    for (const key of NUMBERS) if (given[key] !== undefined) options[key] = Number(given[key])
    if (given['faults'] !== undefined) options['faults'] = faultsOf(given['faults'], index + 1)
    return [{ name, options: options as unknown as KeptOptions }]
  })
}

function faultsOf(text: string, line: number): readonly FaultName[] {
  const names = text.split(',').filter((name) => name !== '')
  for (const name of names) {
    assert((FAULTS as readonly string[]).includes(name), `line ${line}: ${name} is a fault`)
  }
  return names as FaultName[]
}
