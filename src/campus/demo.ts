/**
 * A lunch rush: synthetic users post orders over HTTP, so that the first closed minute appears without typing.
 *
 * Invariant: goes through the same door as everybody; what the ingress refuses is tried again with the same key.
 */
import { delay, type Clock, type Random } from '#millrace'
import { menu } from './menu.ts'

const USERS = 8
const PAUSE_MS_MAX = 400

export class Demo {
  readonly #stop = new AbortController()
  readonly #done: Promise<unknown>

  constructor(url: string, clock: Clock, random: Random) {
    const users = Array.from({ length: USERS }, (_, user) => this.#order(url, user, clock, random))
    this.#done = Promise.all(users)
  }

  async #order(url: string, user: number, clock: Clock, random: Random): Promise<void> {
    const { signal } = this.#stop
    for (let count = 0; !signal.aborted; count += 1) {
      await delay(clock, random.next() * PAUSE_MS_MAX, signal)
      const item = menu[Math.floor(random.next() * menu.length)]
      const qty = 1 + Math.floor(random.next() * 3)
      const body = JSON.stringify({ item_id: item?.item_id, qty, user_id: `demo-${user}` })
      const key = `demo-${user}-${count}-${random.uuid()}`
      while (!signal.aborted && !(await post(url, body, key, signal)))
        await delay(clock, PAUSE_MS_MAX, signal)
    }
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#done
  }
}

/** True once the order is taken; 503 and a broken connection are tried again. */
async function post(url: string, body: string, key: string, signal: AbortSignal): Promise<boolean> {
  const headers = { 'content-type': 'application/json', 'idempotency-key': key }
  try {
    const response = await fetch(`${url}/order`, { method: 'POST', headers, body, signal })
    await response.body?.cancel()
    return response.status === 202
  } catch {
    return false
  }
}
