/**
 * Says when the ingress must take no more: processing is too far behind, or the disk is nearly full.
 *
 * Invariant: what was accepted is never dropped; pressure only refuses what has not been taken yet.
 */
import { statfs } from 'node:fs/promises'
import { delay, LogError, type Clock } from '#millrace'
import { inTime } from './in-time.ts'

export interface PressureLimits {
  readonly lagRecordsMax: number
  readonly freeBytesMin: number
  /** A log that does not answer is no pressure: orders wait on this disk meanwhile. */
  readonly mayLogBeAway?: boolean
}
const CHECK_MS = 250
const LAG_WITHIN_MS = 5_000

export class Pressure {
  /** Why orders are refused right now; undefined while they are taken. */
  reason: string | undefined = undefined
  lagRecords = 0
  readonly #stop = new AbortController()
  readonly #done: Promise<void>

  constructor(clock: Clock, folder: string, limits: PressureLimits, lagOf: () => Promise<number>) {
    this.#done = this.#watch(clock, folder, limits, lagOf)
  }

  async #watch(
    clock: Clock,
    folder: string,
    limits: PressureLimits,
    lagOf: () => Promise<number>,
  ): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      this.reason = await this.#check(clock, folder, limits, lagOf)
      await delay(clock, CHECK_MS, signal)
    }
  }

  async #check(
    clock: Clock,
    folder: string,
    limits: PressureLimits,
    lagOf: () => Promise<number>,
  ): Promise<string | undefined> {
    try {
      this.lagRecords = await this.#lag(clock, limits, lagOf)
      if (this.lagRecords > limits.lagRecordsMax)
        return `processing is ${this.lagRecords} records behind`
      const { bavail, bsize } = await statfs(folder)
      if (bavail * bsize < limits.freeBytesMin) return 'the disk is nearly full'
      return undefined
    } catch (error) {
      return `the log does not answer: ${error instanceof Error ? error.message : String(error)}`
    }
  }

  async #lag(clock: Clock, limits: PressureLimits, lagOf: () => Promise<number>): Promise<number> {
    if (limits.mayLogBeAway !== true) return lagOf()
    try {
      // What was known last counts until the log answers.
      return (await inTime(clock, LAG_WITHIN_MS, lagOf())) ?? this.lagRecords
    } catch (error) {
      if (error instanceof LogError && error.retriable) return this.lagRecords
      throw error
    }
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#done
  }
}
