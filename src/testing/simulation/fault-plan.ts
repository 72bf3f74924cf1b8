/**
 * Which faults a run has, how often, and how often each has happened. The seed picks: some runs have few faults, some many, and
 * each has another mixture, because faults hide one another.
 *
 * Invariant: once healed nothing new goes wrong.
 */
import type { SeededRandom } from './seeded-random.ts'

/** What can be done to a run. */
export const FAULTS = [
  /** A process is gone at any step, and comes back later. */
  'crash',
  /** The machine with it: what was not synced is lost, or found torn. */
  'power-loss',
  /** A process stands still, at any step or at one of a commit. */
  'pause',
  'pause-in-commit',
  'request-lost',
  'reply-lost',
  'request-late',
  'join',
  'leave',
  'stop',
  'store-failed',
  'store-failed-late',
  'store-slow',
  'store-unreadable',
  'store-damaged',
  'folder-lost',
  'folder-stale',
  'stores-swapped',
  'clock-skew',
  'clock-jump',
  'duplicate-input',
  'disorder',
  'idle-partition',
] as const

export type FaultName = (typeof FAULTS)[number]

export type Fate = 'answered' | 'request-lost' | 'reply-lost' | 'late'

/** How likely each fault is where it can happen; absent: never. */
export type FaultRates = Readonly<Partial<Record<FaultName, number>>>

/** Where it can happen: at a step chosen for faults (weights), at a request, at an apply, at an input (chances). */
const RATES: Readonly<Record<FaultName, number>> = {
  crash: 3,
  'power-loss': 1,
  pause: 2,
  'pause-in-commit': 6,
  'request-lost': 0.015,
  'reply-lost': 0.015,
  'request-late': 0.01,
  join: 3,
  leave: 1,
  stop: 1,
  'store-failed': 0.02,
  'store-failed-late': 0.02,
  'store-slow': 0.08,
  'store-unreadable': 0.004,
  'store-damaged': 0.5,
  'folder-lost': 0.15,
  'folder-stale': 0.3,
  'stores-swapped': 0.8,
  'clock-skew': 0.5,
  'clock-jump': 1,
  'duplicate-input': 0.1,
  disorder: 0.3,
  'idle-partition': 0.05,
}

/** What finds most is on more often. */
const ON: FaultRates = { 'pause-in-commit': 0.75, join: 0.75 }

/** The swarm: each fault is on in about half of all runs, and then rare, usual or frequent. */
export function drawFaults(random: SeededRandom, allowed: readonly FaultName[]): FaultRates {
  const rates: Partial<Record<FaultName, number>> = {}
  for (const name of FAULTS) {
    const isOn = random.chance(ON[name] ?? 0.5)
    const factor = random.pick([0.3, 1, 1, 2.5]) ?? 1
    if (isOn && allowed.includes(name)) rates[name] = RATES[name] * factor
  }
  return rates
}

export class FaultPlan {
  readonly rates: FaultRates
  readonly replyTimeoutMs: number
  readonly fired: Map<string, number> = new Map()
  readonly #random: SeededRandom
  #isHealed: boolean = false

  constructor(rates: FaultRates, random: SeededRandom, replyTimeoutMs: number) {
    this.rates = rates
    this.#random = random
    this.replyTimeoutMs = replyTimeoutMs
  }

  heal(): void {
    this.#isHealed = true
  }

  get isHealed(): boolean {
    return this.#isHealed
  }

  /** Whether it happens here; then it counts as having happened. */
  happens(name: FaultName): boolean {
    if (this.#isHealed || !this.#random.chance(this.rates[name] ?? 0)) return false
    this.count(name)
    return true
  }

  count(name: string): void {
    this.fired.set(name, (this.fired.get(name) ?? 0) + 1)
  }

  fateOf(label: string): Fate {
    if (this.happens('request-lost')) return 'request-lost'
    if (this.happens('reply-lost')) return 'reply-lost'
    // A join waits on a connection of its own, which is closed when its sender gives up: nothing of it comes later.
    if (label === 'join') return 'answered'
    return this.happens('request-late') ? 'late' : 'answered'
  }

  /** One of these by their weights; undefined if none is on. */
  choose(names: readonly FaultName[]): FaultName | undefined {
    const total = names.reduce((sum, name) => sum + (this.rates[name] ?? 0), 0)
    let at = this.#random.next() * total
    for (const name of names) {
      at -= this.rates[name] ?? 0
      if (at < 0) return name
    }
    return undefined
  }
}
