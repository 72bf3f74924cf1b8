/**
 * A user of campus who does not give up: an order is posted with one key until it is answered.
 *
 * Invariant: what `place` resolves with was answered 202; the key makes every try the same order.
 */
import type { Tally } from '../schemas.ts'

export interface Placed {
  readonly order_id: string
  readonly latencyMs: number
  readonly tries: number
}

export interface ShelfNow {
  readonly available: number
  readonly reserved: number
}

export interface OrderBody {
  readonly item_id: string
  readonly qty: number
  readonly user_id: string
}

const RETRY_MS = 30

export class Client {
  readonly #url: () => string
  readonly #waitMs: number | undefined
  refused = 0
  broken = 0

  /** `waitMs`: an application that does not answer within it is given up, and asked again. */
  constructor(url: () => string, waitMs?: number) {
    this.#url = url
    this.#waitMs = waitMs
  }

  async place(body: OrderBody, key: string): Promise<Placed> {
    const startedMs = performance.now()
    for (let tries = 1; ; tries += 1) {
      const answer = await this.post('/order', body, { 'idempotency-key': key })
      if (answer?.status === 202) {
        const { order_id } = answer.body as { order_id: string }
        return { order_id, latencyMs: performance.now() - startedMs, tries }
      }
      if (answer === undefined) this.broken += 1
      else if (answer.status === 503) this.refused += 1
      else
        throw new TypeError(`order refused with ${answer.status}: ${JSON.stringify(answer.body)}`)
      await Bun.sleep(RETRY_MS)
    }
  }

  /** Undefined if the connection broke. */
  async post(
    path: string,
    body: object,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<{ readonly status: number; readonly body: unknown } | undefined> {
    try {
      const response = await fetch(this.#url() + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
        ...this.#patience(),
      })
      return { status: response.status, body: await response.json() }
    } catch {
      return undefined
    }
  }

  async get<T>(path: string): Promise<T | undefined> {
    try {
      const response = await fetch(this.#url() + path, this.#patience())
      return response.ok ? ((await response.json()) as T) : undefined
    } catch {
      return undefined
    }
  }

  #patience(): RequestInit {
    return this.#waitMs === undefined ? {} : { signal: AbortSignal.timeout(this.#waitMs) }
  }

  /** Asks until `until` is content, or `waitMs` have passed; then undefined. */
  async waitFor<T>(
    path: string,
    until: (answer: T) => boolean,
    waitMs: number,
  ): Promise<T | undefined> {
    const endMs = performance.now() + waitMs
    while (performance.now() < endMs) {
      const answer = await this.get<T>(path)
      if (answer !== undefined && until(answer)) return answer
      await Bun.sleep(20)
    }
    return undefined
  }

  /** What is on the shelves, as far as who is asked knows it. */
  async shelves(): Promise<ReadonlyMap<string, ShelfNow>> {
    type Item = ShelfNow & { readonly item_id: string }
    const items = (await this.get<readonly Item[]>('/inventory')) ?? []
    return new Map(items.map(({ item_id, ...shelf }) => [item_id, shelf]))
  }

  /** True once every minute that had an order is out: a minute comes out once, with its orders and their verdicts. */
  async minutesClosed(orders: number, waitMs: number): Promise<boolean> {
    const isAll = (minutes: readonly Tally[]): boolean => {
      const sum = (of: keyof Tally): number => minutes.reduce((sum, minute) => sum + minute[of], 0)
      return sum('orders') >= orders && sum('reserved') + sum('failed') >= orders
    }
    return (await this.waitFor('/metrics/orders', isAll, waitMs)) !== undefined
  }
}

/** What `/applications` says. */
export type ApplicationList = readonly {
  readonly id: string
  readonly state: string
  readonly lag: number
}[]

export const caughtUp = (list: ApplicationList): boolean =>
  list.every(({ state, lag }) => state === 'running' && lag === 0)
