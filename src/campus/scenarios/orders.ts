/**
 * Eight users who order until a drill has seen enough, each order with a key, some of them twice.
 *
 * Invariant: an order counts as accepted only when it was answered 202.
 */
import type { Client } from './client.ts'
import { orderNumber } from './session.ts'

const CLIENTS = 8
const PACE_MS = 100

export class Orders {
  readonly accepted: string[] = []
  readonly #client: Client
  readonly #count: number
  readonly #name: string
  #next = 0
  #isStopping = false

  /** `name` makes their keys others than those of other drills. */
  constructor(client: Client, count: number, name: string) {
    this.#client = client
    this.#count = count
    this.#name = name
  }

  /** Posts until the count is reached, and on while the drill still needs something to happen. */
  async run(): Promise<void> {
    const user = async (): Promise<void> => {
      while (!this.#isStopping || this.#next < this.#count) {
        const index = this.#next
        this.#next += 1
        const placed = await this.#client.place(orderNumber(index), `${this.#name}-${index}`)
        this.accepted.push(placed.order_id)
        // A retry after the answer: the same order, which must not count twice.
        if (index % 10 === 0) await this.#client.place(orderNumber(index), `${this.#name}-${index}`)
        // Enough is enough: from here on just so many that every failpoint is passed.
        if (index >= this.#count) await Bun.sleep(PACE_MS)
      }
    }
    await Promise.all(Array.from({ length: CLIENTS }, user))
  }

  stop(): void {
    this.#isStopping = true
  }
}
