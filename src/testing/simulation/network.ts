/**
 * Requests of processes to the broker: each takes its time, and some are lost, or their replies are, or come much too late.
 *
 * Invariant: of one process requests arrive in the order in which they were made, but for those that were held up; whoever gave
 * up waiting never hears the answer.
 */
import { LogError } from '#log'
import type { FaultPlan } from './fault-plan.ts'
import type { Scheduler } from './scheduler.ts'
import type { SeededRandom } from './seeded-random.ts'
import { never, type SimulatedProcess } from './simulated-process.ts'

const LATENCY_MS_MAX = 1.5
const SLOW_CHANCE = 0.02
/** Requests after which everything counts. */
const COMMITS: ReadonlySet<string> = new Set(['end', 'commit'])
const LATE_MS_MAX = 3_000

export class Network {
  readonly #scheduler: Scheduler
  readonly #random: SeededRandom
  readonly #faults: FaultPlan
  readonly #lastArrivalMs = new WeakMap<SimulatedProcess, number>()

  constructor(scheduler: Scheduler, random: SeededRandom, faults: FaultPlan) {
    this.#scheduler = scheduler
    this.#random = random
    this.#faults = faults
  }

  /** Rejects with a retriable LOG_UNAVAILABLE when no answer came in time. */
  call<T>(from: SimulatedProcess, label: string, answer: () => T | Promise<T>): Promise<T> {
    if (from.isGone) return never()
    // It stands still since a moment ago: what it was about to send leaves it afterwards.
    if (from.isPaused) return from.soon('send').then(() => this.call(from, label, answer))
    const fate = this.#faults.fateOf(label)
    return new Promise((resolve, reject) => {
      let isOver = false
      const reply = (settle: () => void): void => {
        if (isOver) return
        from.after(this.#latencyMs(), `${label} answered`, () => {
          if (isOver) return
          isOver = true
          settle()
        })
      }
      const arrive = async (): Promise<void> => {
        // A join has a connection of its own, which ends with its sender: it never comes after the one of a successor.
        if (label === 'join' && from.isGone) return
        try {
          const value = await answer()
          if (fate === 'answered') reply(() => resolve(value))
          else if (COMMITS.has(label)) this.#faults.count('committed though unknown')
        } catch (error) {
          if (fate === 'answered') reply(() => reject(error))
        }
      }
      if (fate !== 'answered') {
        const waitMs = this.#faults.replyTimeoutMs
        this.#scheduler.note(`${label} ${fate}`, from)
        from.after(waitMs, `${label} timeout`, () => {
          isOver = true
          reject(new LogError('LOG_UNAVAILABLE', `no answer to ${label}`, { retriable: true }))
        })
      }
      if (fate === 'request-lost') return
      const atMs = fate === 'late' ? this.#lateMs() : this.#arrivalMs(from)
      this.#scheduler.at(atMs, undefined, label, () => void arrive())
    })
  }

  /** Mostly after its sender has given up. */
  #lateMs(): number {
    const { nowMs } = this.#scheduler
    return nowMs + this.#faults.replyTimeoutMs * 0.5 + this.#random.next() * LATE_MS_MAX
  }

  #arrivalMs(from: SimulatedProcess): number {
    const soonMs = this.#scheduler.nowMs + this.#latencyMs()
    const atMs = Math.max(soonMs, this.#lastArrivalMs.get(from) ?? 0)
    this.#lastArrivalMs.set(from, atMs)
    return atMs
  }

  /** Mostly soon; at times nearly as long as anybody waits. */
  #latencyMs(): number {
    const isSlow = !this.#faults.isHealed && this.#random.chance(SLOW_CHANCE)
    return this.#random.next() * (isSlow ? this.#faults.replyTimeoutMs : LATENCY_MS_MAX)
  }
}
