/**
 * One scenario's world: an application it started itself, or a running one that it was pointed at.
 *
 * Invariant: only what was started here is stopped here.
 */
import { Application } from './application.ts'
import { Client, caughtUp, type ApplicationList, type OrderBody } from './client.ts'
import { menu } from '../menu.ts'

export interface SessionOptions {
  readonly url: string | undefined
  readonly log: string | undefined
}

export class Session {
  readonly client: Client
  readonly log: string
  readonly #application: Application | undefined

  private constructor(client: Client, log: string, application: Application | undefined) {
    this.client = client
    this.log = log
    this.#application = application
  }

  static async open({ url, log }: SessionOptions): Promise<Session> {
    if (url !== undefined) {
      const client = new Client(() => url)
      return new Session(client, log ?? 'sqlite:data/campus.db', undefined)
    }
    const application = new Application([], log)
    const ready = await application.start()
    if (ready === undefined)
      throw new TypeError(`it did not start: ${application.complaints.join('\n')}`)
    return new Session(new Client(() => application.url), application.log, application)
  }

  /** True once nothing is left to process. */
  async settle(waitMs = 60_000): Promise<boolean> {
    const list = await this.client.waitFor<ApplicationList>('/applications', caughtUp, waitMs)
    return list !== undefined
  }

  async close(): Promise<void> {
    await this.#application?.remove()
  }
}

/** Orders that differ in item, quantity and user; the small items run out, so that some fail. */
export function orderNumber(index: number): OrderBody {
  const item = menu[index % menu.length]
  return { item_id: item?.item_id ?? '', qty: 1 + (index % 3), user_id: `u${index % 50}` }
}
