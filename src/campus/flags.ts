/**
 * The flags of `bun run topology`, checked whole before anything starts.
 *
 * Invariant: a wrong flag is one line that says what and how to mend it.
 */
import { parseArgs } from 'node:util'

export class FlagError extends Error {
  override readonly name = 'FlagError'
}

/** What a process does: takes orders over HTTP, processes, or both. */
export type Role = 'both' | 'ingress' | 'worker'
const ROLES: readonly Role[] = ['both', 'ingress', 'worker']

export interface Flags {
  readonly port: number
  readonly host: string
  readonly log: string
  readonly partitions: number
  readonly workers: number
  readonly role: Role
  readonly standbys: number
  readonly only: readonly string[]
  readonly demo: boolean
  readonly help: boolean
  readonly commitIntervalMs: number
  readonly maintenanceMs: number | undefined
  readonly lagMax: number
}

export const APPLICATIONS: readonly string[] = ['inventory', 'analytics', 'notifications']

export const HELP = `bun run topology: campus food ordering, on an embedded log or on Apache Kafka

  --port N          port it answers on; 0 picks a free one (8000, of a worker 0)
  --host H          address it binds to (127.0.0.1)
  --log URL         where records are kept: sqlite:PATH or kafka://HOST:PORT (sqlite:data/campus.db)
  --partitions N    partitions of each topic, decided at the first start (4)
  --workers N       threads that process; 1 is the main thread (1)
  --role R          both, ingress (takes orders, processes nothing) or worker (the other way round); any number of
                    processes share the work (both)
  --standbys N      copies of each task's state kept ready in other processes (0)
  --only A,B        run only these: inventory, analytics, notifications
  --demo            a lunch rush: synthetic users post orders over HTTP
  --commit-ms N     longest time between two commits (100)
  --lag-max N       records of lag above which orders are refused with 503 (200000)
  --maintenance-ms N  time between two rounds of retention and compaction (30000)
  --help            this text
`

const options = {
  port: { type: 'string' },
  host: { type: 'string' },
  log: { type: 'string' },
  partitions: { type: 'string' },
  workers: { type: 'string' },
  role: { type: 'string' },
  standbys: { type: 'string' },
  only: { type: 'string' },
  demo: { type: 'boolean' },
  'commit-ms': { type: 'string' },
  'lag-max': { type: 'string' },
  'maintenance-ms': { type: 'string' },
  help: { type: 'boolean' },
} as const

export function readFlags(args: readonly string[]): Flags {
  const values = parse(args)
  const whole = (
    name: keyof typeof values & string,
    fallback: number,
    least: number,
    most: number,
  ): number => {
    const text = values[name]
    if (text === undefined) return fallback
    const number = Number(text)
    if (typeof text !== 'string' || !/^\d+$/.test(text) || number < least || number > most)
      throw new FlagError(
        `--${name} must be a whole number from ${least} to ${most}, not "${text}"`,
      )
    return number
  }
  const role = roleOf(values.role)
  return {
    port: whole('port', role === 'worker' ? 0 : 8000, 0, 65_535),
    host: values.host ?? '127.0.0.1',
    log: values.log ?? 'sqlite:data/campus.db',
    partitions: whole('partitions', 4, 1, 256),
    workers: whole('workers', 1, 1, 64),
    role,
    standbys: whole('standbys', 0, 0, 8),
    only: role === 'ingress' ? [] : applicationsOf(values.only),
    demo: values.demo ?? false,
    help: values.help ?? false,
    commitIntervalMs: whole('commit-ms', 100, 1, 60_000),
    lagMax: whole('lag-max', 200_000, 1, 1e9),
    maintenanceMs:
      values['maintenance-ms'] === undefined ? undefined : whole('maintenance-ms', 0, 1, 1e9),
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: false }).values
  } catch (error) {
    const message = error instanceof Error ? (error.message.split('. ')[0] ?? '') : String(error)
    throw new FlagError(`${message}: see --help`, { cause: error })
  }
}

function roleOf(text: string = 'both'): Role {
  const role = ROLES.find((one) => one === text)
  if (role === undefined) throw new FlagError(`--role must be ${ROLES.join(', ')}, not "${text}"`)
  return role
}

function applicationsOf(only: string | undefined): readonly string[] {
  if (only === undefined) return APPLICATIONS
  const names = only.split(',').map((name) => name.trim())
  const unknown = names.find((name) => !APPLICATIONS.includes(name))
  if (unknown !== undefined)
    throw new FlagError(`--only knows ${APPLICATIONS.join(', ')}, not "${unknown}"`)
  return names
}
