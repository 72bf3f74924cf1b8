/**
 * What time it is below one `slowest-upstream` source (R12): the least that any upstream task's sending node has announced.
 *
 * Invariant: `timeMs` never goes back, and while one node that is not idle has not spoken it does not move at all.
 * Only `rollback` takes back what a record that failed had announced (R15).
 *
 * Who is idle is left out, unless that is in doubt: it was said before this task began, to whoever ran it then. A doubt is not
 * saved, because the next beginning raises it again.
 */
import { timeSenders, type SourceNode, type Topology } from '#topology'
import { taskCountOf, taskIdOf } from './internal-names.ts'
import type { PartitionCounts } from './task-options.ts'
import type { AnnouncedTime } from './time-record.ts'

interface Sender {
  timeMs: number
  idle: boolean
  isDoubted: boolean
}

/** Idle is kept in the sign: −1 and up is a time, −2 − (time + 1) the same time, idle. */
const asSaved = ({ timeMs, idle }: Sender): number => (idle ? -3 - timeMs : timeMs)

export class UpstreamTimes {
  readonly source: string
  readonly #senders: ReadonlyMap<string, Sender>
  #timeMs: number = -1
  /** As they were at the savepoint: the time, and each sender that has spoken since, the first of them first. */
  #markTimeMs: number = -1
  readonly #spoken: { readonly sender: Sender; readonly before: Sender }[] = []

  /** `senders`: the names of all pairs of upstream task and sending node, as `senderName` gives them. */
  constructor(source: string, senders: readonly string[]) {
    this.source = source
    this.#senders = new Map(
      senders.map((name) => [name, { timeMs: -1, idle: false, isDoubted: false }]),
    )
  }

  /** The minimum; where all are idle, the greatest that any has announced. −1: not known yet. */
  get timeMs(): number {
    return this.#timeMs
  }

  get allIdle(): boolean {
    for (const sender of this.#senders.values()) if (!isLeftOut(sender)) return false
    return this.#senders.size > 0
  }

  /** Takes a time record; true if the time has risen. Senders that the topology no longer has are passed over. */
  announce(announced: AnnouncedTime): boolean {
    const sender = this.#senders.get(senderName(announced))
    if (sender === undefined) return false
    this.#spoken.push({ sender, before: { ...sender } })
    sender.idle = announced.idle
    sender.isDoubted = false
    sender.timeMs = Math.max(sender.timeMs, announced.timeMs)
    return this.#update()
  }

  get isDoubting(): boolean {
    for (const { isDoubted } of this.#senders.values()) if (isDoubted) return true
    return false
  }

  /** Who is idle is waited for, until it speaks or is trusted; true if anybody is. */
  doubt(): boolean {
    for (const sender of this.#senders.values()) sender.isDoubted = sender.idle
    return this.isDoubting
  }

  /** Who is still in doubt has nothing to catch up with; true if the time has risen by that. */
  trust(): boolean {
    for (const sender of this.#senders.values()) {
      if (!sender.isDoubted) continue
      this.#spoken.push({ sender, before: { ...sender } })
      sender.isDoubted = false
    }
    return this.#update()
  }

  /** A tick while all are idle: the time goes on without them. */
  advance(timeMs: number): void {
    this.#timeMs = Math.max(this.#timeMs, timeMs)
  }

  savepoint(): void {
    this.#markTimeMs = this.#timeMs
    this.#spoken.length = 0
  }

  rollback(): void {
    for (const { sender, before } of this.#spoken.reverse()) Object.assign(sender, before)
    this.#timeMs = this.#markTimeMs
    this.#spoken.length = 0
  }

  /** Name and number of every sender, for the metadata of a commit. */
  *saved(): Iterable<readonly [name: string, time: number]> {
    yield [`${this.source}/`, this.#timeMs]
    for (const [name, sender] of this.#senders) yield [`${this.source}/${name}`, asSaved(sender)]
  }

  restore(saved: (name: string) => number | undefined): void {
    for (const [name, sender] of this.#senders) {
      const time = saved(`${this.source}/${name}`)
      if (time === undefined) continue
      sender.idle = time < -1
      sender.timeMs = sender.idle ? -3 - time : time
    }
    this.#timeMs = Math.max(this.#timeMs, saved(`${this.source}/`) ?? -1)
    this.#update()
  }

  #update(): boolean {
    let least = Infinity
    let greatest = -1
    for (const sender of this.#senders.values()) {
      const { timeMs } = sender
      if (!isLeftOut(sender) && timeMs < least) least = timeMs
      if (timeMs > greatest) greatest = timeMs
    }
    const timeMs = least === Infinity ? greatest : least
    if (timeMs <= this.#timeMs) return false
    this.#timeMs = timeMs
    return true
  }
}

function isLeftOut({ idle, isDoubted }: Sender): boolean {
  return idle && !isDoubted
}

export function senderName(sender: Omit<AnnouncedTime, 'timeMs' | 'idle'>): string {
  return `${taskIdOf(sender.subTopology, sender.partition)}/${sender.node}`
}

/** Every pair of upstream task and sending node that writes to a source's topics. */
export function sendersTo(
  topology: Topology,
  source: SourceNode,
  partitionCounts: PartitionCounts,
): readonly string[] {
  return topology.subTopologies.flatMap((subTopology) => {
    const nodes = timeSenders(subTopology).filter(({ topic }) => source.topics.includes(topic))
    if (nodes.length === 0) return []
    const tasks = taskCountOf(topology, subTopology, partitionCounts)
    return Array.from({ length: tasks }, (_, partition) =>
      nodes.map(({ node }) => senderName({ subTopology: subTopology.number, partition, node })),
    ).flat()
  })
}
