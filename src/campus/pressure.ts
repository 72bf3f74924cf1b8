/**
 * Says when the ingress must take no more: processing is too far behind, or the disk is nearly full.
 *
 * Invariant: what was accepted is never dropped; pressure only refuses what has not been taken yet.
 */
import { statfs } from 'node:fs/promises'
import { delay, type Clock } from '#millrace'

export interface PressureLimits {
  readonly lagRecordsMax: number
  readonly freeBytesMin: number
}
const CHECK_MS = 250

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
      this.reason = await this.#check(folder, limits, lagOf)
      await delay(clock, CHECK_MS, signal)
    }
  }

  async #check(
    folder: string,
    limits: PressureLimits,
    lagOf: () => Promise<number>,
  ): Promise<string | undefined> {
    try {
      this.lagRecords = await lagOf()
      if (this.lagRecords > limits.lagRecordsMax)
        return `processing is ${this.lagRecords} records behind`
      const { bavail, bsize } = await statfs(folder)
      if (bavail * bsize < limits.freeBytesMin) return 'the disk is nearly full'
      return undefined
    } catch (error) {
      return `the log does not answer: ${error instanceof Error ? error.message : String(error)}`
    }
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#done
  }
}
