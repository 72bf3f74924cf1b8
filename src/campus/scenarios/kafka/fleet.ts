/**
 * Campus in several processes on one Kafka cluster, each with a folder, a port and a client id of its own.
 *
 * Invariant: every process that was started here has ended when `remove` resolves.
 */
import { Application } from '../application.ts'
import { Client, caughtUp, type ApplicationList, type ShelfNow } from '../client.ts'

/** An answer takes a second at most while brokers are away; a process that was stopped gives none. */
const ANSWER_MS_MAX = 3_000

export interface FleetOptions {
  readonly bootstrap: string
  readonly flags: readonly string[]
  /** Added to the log's URL. */
  readonly settings: Readonly<Record<string, string>>
}

export class Member extends Application {
  readonly clientId: string
  isFrozen = false

  constructor(clientId: string, { bootstrap, flags, settings }: FleetOptions) {
    super(flags, `kafka://${bootstrap}?${new URLSearchParams({ clientId, ...settings })}`)
    this.clientId = clientId
  }

  freeze(): void {
    this.isFrozen = true
    this.signal('SIGSTOP')
  }

  thaw(): void {
    this.signal('SIGCONT')
    this.isFrozen = false
  }
}

export class Fleet {
  readonly members: Member[] = []
  readonly client: Client
  readonly #options: FleetOptions
  readonly #gone: string[] = []
  #turn = 0
  #count = 0

  constructor(options: FleetOptions) {
    this.#options = options
    this.client = new Client(() => this.#url(), ANSWER_MS_MAX)
  }

  /** What all of them said on stderr. */
  get complaints(): readonly string[] {
    return [...this.#gone, ...this.members.flatMap((member) => said(member))]
  }

  /** A process that was never there before; it does not run yet. */
  add(): Member {
    this.#count += 1
    const member = new Member(`campus-${this.#count}`, this.#options)
    this.members.push(member)
    return member
  }

  async drop(member: Member): Promise<void> {
    this.members.splice(this.members.indexOf(member), 1)
    await member.remove()
    this.#gone.push(...said(member))
  }

  /** True once every process says that it runs and that nothing is left to process. */
  async settle(waitMs: number): Promise<boolean> {
    const endMs = performance.now() + waitMs
    for (const member of this.members) {
      const one = new Client(() => member.url, ANSWER_MS_MAX)
      const leftMs = endMs - performance.now()
      const list = await one.waitFor<ApplicationList>('/applications', caughtUp, leftMs)
      if (list === undefined) return false
    }
    return true
  }

  /** Of all processes together: each answers for what it holds. */
  async shelves(): Promise<ReadonlyMap<string, ShelfNow>> {
    const shelves = new Map<string, ShelfNow>()
    for (const member of this.members) {
      const part = await new Client(() => member.url, ANSWER_MS_MAX).shelves()
      for (const [item, shelf] of part) shelves.set(item, shelf)
    }
    return shelves
  }

  async remove(): Promise<void> {
    for (const member of this.members.filter(({ isFrozen }) => isFrozen)) member.thaw()
    await Promise.all(this.members.map((member) => member.remove()))
  }

  /** The next one in turn: a user who tries again tries elsewhere; only requests under way are stuck in one that is frozen. */
  #url(): string {
    const running = this.members.filter(({ isReady, isFrozen }) => isReady && !isFrozen)
    this.#turn += 1
    return running[this.#turn % running.length]?.url ?? 'http://127.0.0.1:0'
  }
}

function said({ clientId, complaints }: Member): readonly string[] {
  return complaints.map((line) => `${clientId}: ${line}`)
}
