/**
 * The other processes of campus on this log: who has which part of the inventory, and asking it over HTTP.
 *
 * Invariant: a question goes one step: who is asked by a neighbour asks nobody else, so that no two can ask each other for ever.
 */
import { taskOwners, type Clock, type Log, type Topology } from '#millrace'
import { inTime } from './in-time.ts'

/** Set on what one process asks another. */
export const FORWARDED = 'campus-forwarded'
/** Says which tasks an answer is of. */
export const TASKS = 'campus-tasks'

const KNOWN_MS = 1_000
const ASK_WITHIN_MS = 2_000

export interface NeighboursOptions {
  readonly log: Log
  readonly topology: Topology
  readonly clock: Clock
  /** Of this process, which is no neighbour. */
  readonly url: string
}

export class Neighbours {
  readonly #options: NeighboursOptions
  #owners: { readonly atMs: number; readonly endpoints: Promise<Endpoints> } | undefined

  constructor(options: NeighboursOptions) {
    this.#options = options
  }

  /** Where a task is run, as far as the group knows; undefined: nowhere, or by who does not say. */
  async ownerOf(taskId: string): Promise<string | undefined> {
    return (await this.#known()).get(taskId)
  }

  isSelf(endpoint: string): boolean {
    return endpoint === this.#options.url
  }

  /** Undefined if it does not answer in time. */
  async ask(endpoint: string, path: string): Promise<Response | undefined> {
    const headers = { [FORWARDED]: '1' }
    const asked = fetch(endpoint + path, { headers }).catch(() => undefined)
    const answer = await inTime(this.#options.clock, ASK_WITHIN_MS, asked)
    // Who does not answer, or has not what it was asked for, may not be the owner any more.
    if (answer === undefined || answer.status === 503) this.#owners = undefined
    return answer
  }

  #known(): Promise<Endpoints> {
    const nowMs = this.#options.clock.elapsedMs()
    if (this.#owners === undefined || nowMs - this.#owners.atMs > KNOWN_MS)
      this.#owners = { atMs: nowMs, endpoints: this.#look() }
    return this.#owners.endpoints
  }

  async #look(): Promise<Endpoints> {
    const { log, topology, clock } = this.#options
    const looking = taskOwners(log, topology).catch(() => undefined)
    const owners = await inTime(clock, ASK_WITHIN_MS, looking)
    return new Map(
      [...(owners ?? [])].flatMap(([taskId, { endpoint }]) =>
        endpoint === undefined ? [] : [[taskId, endpoint] as const],
      ),
    )
  }
}

type Endpoints = ReadonlyMap<string, string>
