/** A cluster whose one broker gives the answers of a script, one a request, and remembers who asked what on which connection. */
import type { Connection } from '@platformatic/kafka'
import { type Clock, type Random, systemClock, systemRandom } from '#system'

import { LogError } from '../../log.ts'
import type { Purpose } from '../cluster.ts'
import { answerTo, connectionOf, StubCluster } from './stub-cluster.ts'

/** What the broker answers: a whole response, `lost` for a connection that fails, `never` for one that waits. */
export type Scripted = object | 'lost' | 'never'

export interface Asked {
  readonly api: number
  readonly purpose: Purpose
  readonly lane: string | undefined
  readonly bytes: string
}

export class ScriptedCluster extends StubCluster {
  readonly clock: Clock = systemClock
  readonly random: Random = systemRandom
  readonly asked: Asked[] = []
  lookups: number = 0
  #known: boolean = false
  #lanes: number = 0
  readonly #script: Scripted[]
  readonly #waiting: Map<string, () => void> = new Map()

  constructor(...script: readonly Scripted[]) {
    super()
    this.#script = [...script]
  }

  override async coordinator(): Promise<number> {
    if (!this.#known) this.lookups += 1
    this.#known = true
    return 1
  }

  override forgetCoordinator(): void {
    this.#known = false
  }

  override openLane(): string {
    return `lane-${(this.#lanes += 1)}`
  }

  override closeLane(lane: string): void {
    this.#waiting.get(lane)?.()
  }

  override async call<T>(
    _nodeId: number,
    purpose: Purpose,
    _timeoutMs: number,
    exchange: (connection: Connection) => Promise<T>,
    lane?: string,
  ): Promise<T> {
    const answer = this.#script.shift()
    const lost = new LogError('LOG_UNAVAILABLE', 'the connection failed', { retriable: true })
    const send: Connection['send'] = (
      api,
      _version,
      payload,
      _parser,
      _request,
      _response,
      done,
    ) => {
      const { buffer } = payload() as { readonly buffer: Buffer }
      this.asked.push({ api, purpose, lane, bytes: buffer.toString('latin1') })
      if (answer === 'lost') done(lost)
      else if (answer === 'never') this.#waiting.set(lane ?? '', () => done(lost))
      else answerTo(done)(null, answer)
    }
    return exchange(connectionOf(send))
  }

  /** As often as there is something left in the script. */
  override async retrying<T>(_deadlineMs: number, attempt: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await attempt()
      } catch (error) {
        const again = error instanceof LogError && error.retriable && this.#script.length > 0
        if (!again) throw error
      }
    }
  }
}
