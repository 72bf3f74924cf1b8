/**
 * A rule of the proxy: which requests or responses, and what is done to them.
 *
 * Invariant: `fired` counts what was really done, so that a drill can fail when its fault never happened.
 */
import type { ApiName, RequestHeader } from './requests.ts'

export interface RuleOptions {
  readonly api: ApiName
  readonly side: 'request' | 'response'
  /**
   * - `drop`: it is not passed on, and the connection stays.
   * - `delay`: it, and what follows on its connection, waits for `delayMs`. A request arrives even if its client has gone.
   * - `duplicate`: it is passed on, and once more `delayMs` later; what a broker answers to the second is not passed on.
   * - `cut`: it is not passed on, and the connection ends.
   */
  readonly action: 'drop' | 'delay' | 'duplicate' | 'cut'
  readonly delayMs?: number | (() => number)
  /** Instead of `delayMs`: waits until this resolves. */
  readonly until?: () => Promise<unknown>
  /** Every how many of those that match; each by default. */
  readonly every?: number
  /** Only after so many that match. */
  readonly skip?: number
  /** At most so often. */
  readonly times?: number
  readonly clientId?: string
  /** How the transactional id begins; `''` is any transaction. */
  readonly transaction?: string
  /** Asked last: what it refuses does not count. */
  readonly when?: () => boolean
  /** Called as it is done, before anything else is. */
  readonly onFired?: (request: RequestHeader) => void
}

export class Rule {
  readonly options: RuleOptions
  #seen = 0
  #fired = 0
  #isOver = false

  constructor(options: RuleOptions) {
    this.options = options
  }

  /** How often it was done. */
  get fired(): number {
    return this.#fired
  }
  /** How many matched, done or not. */
  get seen(): number {
    return this.#seen
  }

  /** `delay EndTxn request 400 ms`. */
  get name(): string {
    const { api, side, action, delayMs } = this.options
    return `${action} ${api} ${side}${typeof delayMs === 'number' ? ` ${delayMs} ms` : ''}`
  }

  /** From here on it does nothing; the counts stay. */
  end(): void {
    this.#isOver = true
  }

  /** True if it is to be done to this one, which is counted. */
  takes(request: RequestHeader, side: 'request' | 'response'): boolean {
    const { every = 1, skip = 0, times = Number.POSITIVE_INFINITY } = this.options
    if (this.#isOver || this.#fired >= times || !this.#matches(request, side)) return false
    this.#seen += 1
    if (this.#seen <= skip || (this.#seen - skip) % every !== 0) return false
    this.#fired += 1
    this.options.onFired?.(request)
    return true
  }

  async wait(): Promise<void> {
    const { delayMs = 0, until } = this.options
    if (until !== undefined) await until()
    else await Bun.sleep(typeof delayMs === 'function' ? delayMs() : delayMs)
  }

  #matches({ api, clientId, transactionalId }: RequestHeader, side: string): boolean {
    const { options } = this
    if (api !== options.api || side !== options.side) return false
    if (options.clientId !== undefined && clientId !== options.clientId) return false
    const { transaction, when = () => true } = options
    if (transaction !== undefined && transactionalId?.startsWith(transaction) !== true) return false
    return when()
  }
}
