/**
 * Campus as a process that is stopped, moved to another log by the command line, and started there.
 *
 * Invariant: every process that was started here has ended when `remove` resolves.
 */
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Application } from '../scenarios/application.ts'
import { Client, caughtUp, type ApplicationList } from '../scenarios/client.ts'
import { check } from '../scenarios/feeds.ts'
import type { CampusReport } from '../invariants.ts'

const MILLRACE = join(import.meta.dir, '../../cli/main.ts')
const LIVE = /has members on/
const WAIT_MS = 60_000

/** The same in every try: what the ingress answers, order by order. */
export interface PlacedOrder {
  readonly key: string
  readonly item: string
  readonly id: string
}

export class MovingCampus {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'campus-moving-'))
  readonly client: Client = new Client(() => this.#application?.url ?? 'http://nowhere')
  log: string
  /** Where it has been until now; the last one may run. */
  readonly #applications: Application[] = []

  constructor(log: string) {
    this.log = log
  }

  /** What it said on stderr, wherever it was. */
  get complaints(): string {
    return this.#applications.flatMap(({ complaints }) => complaints).join('\n')
  }

  async start(): Promise<void> {
    const application = new Application([], this.log, this.folder)
    this.#applications.push(application)
    if ((await application.start()) === undefined)
      throw new Error(`campus never was ready: ${application.complaints.join('\n')}`)
  }

  async stop(): Promise<number | null> {
    return (await this.#application?.stop())?.code ?? null
  }

  /** Orders `count` things of each item, every fifth of them twice. */
  async order(name: string, items: readonly string[], count: number): Promise<PlacedOrder[]> {
    const placed: PlacedOrder[] = []
    for (let n = 0; n < count; n += 1) {
      for (const item of items) {
        const key = `${name}-${item}-${n}`
        placed.push({ key, item, id: await this.#place(key, item) })
        if (n % 5 === 0) await this.#place(key, item)
      }
    }
    return placed
  }

  /** The same orders again: as whoever did not hear the answer. */
  async again(orders: readonly PlacedOrder[]): Promise<readonly string[]> {
    const ids: string[] = []
    for (const { key, item } of orders) ids.push(await this.#place(key, item))
    return ids
  }

  /**
   * To `log`, with the process stopped; says what the command printed. Places in groups are kept for a while after a stop: so
   * long the command refuses.
   */
  async migrate(log: string, ...flags: readonly string[]): Promise<string> {
    for (;;) {
      const args = ['migrate', '--from', this.log, '--to', log, ...flags]
      const child = Bun.spawn([process.execPath, MILLRACE, ...args], {
        cwd: this.folder,
        stdin: 'ignore',
        stdout: 'pipe',
        stderr: 'pipe',
      })
      const [output, errors] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
      ])
      if ((await child.exited) === 0) {
        this.log = log
        return output
      }
      if (!LIVE.test(errors)) throw new Error(`migrate: ${output}${errors}`)
      await Bun.sleep(500)
    }
  }

  /** What the ingress remembers lies beside the log, under the log's name. */
  keepRequests(from: string, to: string): void {
    copyFileSync(join(this.folder, 'data', from), join(this.folder, 'data', to))
  }

  async caughtUp(): Promise<boolean> {
    const list = await this.client.waitFor<ApplicationList>('/applications', caughtUp, WAIT_MS)
    return list !== undefined
  }

  /** Every minute that had an order is out, and counts as many. */
  minutesClosed(orders: number): Promise<boolean> {
    return this.client.minutesClosed(orders, 3 * WAIT_MS)
  }

  /** Of the whole: nothing runs meanwhile on a file. */
  check(accepted: readonly PlacedOrder[], complete: boolean): Promise<CampusReport> {
    const log = this.log.replace('sqlite:', `sqlite:${this.folder}/`)
    return check(log, { complete, accepted: accepted.map(({ id }) => id) })
  }

  async remove(): Promise<void> {
    await this.#application?.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }

  get #application(): Application | undefined {
    return this.#applications.at(-1)
  }

  async #place(key: string, item: string): Promise<string> {
    const body = { item_id: item, qty: 1, user_id: `user-of-${item}` }
    return (await this.client.place(body, key)).order_id
  }
}
