/**
 * A process that uses a log until it is killed: `bun child.ts URL TASK SETTINGS`. One line of JSON for everything that was
 * acknowledged, written after the acknowledgement.
 */
import { openLog } from '../open-log.ts'
import {
  type Assignment,
  type GroupMember,
  type Log,
  LogError,
  partitionKey,
  type SealedCommit,
  type TopicPartition,
} from '../log.ts'
import { codeOf } from './harness.ts'
import { dealOut, heldBy } from './members.ts'
import { appendOf } from './records.ts'

export interface AppendTask {
  readonly place: TopicPartition
  readonly name: string
  readonly inFlight: number
}

export interface CommitTask {
  readonly topic: string
  readonly groupId: string
  readonly transactionalId: string
  /** The process ends by itself after this one. */
  readonly last?: number
}

export interface MemberTask {
  readonly topic: string
  readonly groupId: string
  readonly sessionTimeoutMs: number
  /** On SIGUSR2 the process stands still this long. */
  readonly freezeMs: number
}

const tell = (line: unknown): void => void process.stdout.write(`${JSON.stringify(line)}\n`)

/** Appends `name-0`, `name-1` …, so many in flight; tells each with its offset. */
async function append(log: Log, { place, name, inFlight }: AppendTask): Promise<void> {
  const writer = await log.writer()
  let next = 0
  const loop = async (): Promise<void> => {
    for (;;) {
      const value = `${name}-${next++}`
      const { baseOffset } = await writer.append(appendOf(place, [value]))
      tell({ value, offset: baseOffset })
    }
  }
  await Promise.all(Array.from({ length: inFlight }, loop))
}

/**
 * Commit n: the value n to partitions 0 and 1, and offset n of partition 2. It starts after what is committed, and does so
 * again after every outcome that is not known (R5), until it is fenced.
 */
async function commit(log: Log, task: CommitTask): Promise<void> {
  const { topic, groupId, transactionalId, last = Number.POSITIVE_INFINITY } = task
  const counted = { topic, partition: 2 }
  let writer = await log.writer({ transactionalId })
  const nextOf = async (): Promise<number> => {
    const committed = await log.committedOffsets(groupId, [counted])
    return (committed.get(partitionKey(counted))?.offset ?? 0) + 1
  }
  for (let n = await nextOf(); n <= last;) {
    const sealed: SealedCommit = {
      appends: [0, 1].map((partition) => appendOf({ topic, partition }, [`${n}`])),
      groupId,
      member: undefined,
      offsets: [{ ...counted, offset: n, metadata: `${n}` }],
    }
    const outcome = codeOf(await writer.commit(sealed))
    tell({ n, outcome })
    if (outcome === 'committed') {
      n += 1
    } else if (outcome === 'aborted LOG_FENCED') {
      return
    } else {
      writer = await retrying(() => log.writer({ transactionalId }))
      n = await nextOf()
    }
  }
}

async function retrying<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (!(error instanceof LogError && error.retriable)) throw error
      await Bun.sleep(5)
    }
  }
}

/** Joins; commits under the assignment it holds, again and again; tells what happens to it. */
async function member(log: Log, task: MemberTask): Promise<void> {
  const { topic, groupId, sessionTimeoutMs, freezeMs } = task
  // Not SIGSTOP: that may come while the process holds a lock of the log, and then nobody gets on.
  process.on('SIGUSR2', () => {
    tell({ event: 'frozen' })
    Bun.sleepSync(freezeMs)
    tell({ event: 'thawed' })
  })
  let writer = await log.writer({ transactionalId: `member-${process.pid}` })
  const joined = await log.join({
    groupId,
    topics: [topic],
    userData: () => new Uint8Array(),
    assignor: dealOut,
    sessionTimeoutMs,
    rebalanceTimeoutMs: 10_000,
    heartbeatIntervalMs: 50,
  })
  let held: Assignment | undefined
  for (let n = 1; ; n += 1) {
    held = follow(joined, held)
    if (held !== undefined && held.partitions.length > 0) {
      const offsets = held.partitions.map((place) => ({ ...place, offset: n, metadata: '' }))
      const sealed = { appends: [], groupId, member: held, offsets }
      const outcome = codeOf(await writer.commit(sealed))
      tell({ generation: held.generation, outcome })
      if (outcome !== 'committed') {
        held = undefined
        writer = await log.writer({ transactionalId: `member-${process.pid}` })
      }
    }
    await Bun.sleep(10)
  }
}

function follow(joined: GroupMember, before: Assignment | undefined): Assignment | undefined {
  let held = before
  for (let event = joined.take(); event; event = joined.take()) {
    tell({ event: event.kind, held: event.kind === 'assigned' ? heldBy(event.assignment) : [] })
    if (event.kind === 'revoking') event.acknowledge()
    held = event.kind === 'assigned' ? event.assignment : undefined
  }
  return held
}

if (import.meta.main) {
  const [url = '', task, settings = ''] = process.argv.slice(2)
  const log = await openLog(url)
  tell('ready')
  const given = JSON.parse(settings)
  if (task === 'append') await append(log, given)
  else if (task === 'commit') await commit(log, given)
  else if (task === 'member') await member(log, given)
  await log.close()
}
