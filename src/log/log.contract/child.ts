/**
 * A process that uses a log until it is killed: `bun child.ts URL TASK SETTINGS`. One line of JSON for everything that was
 * acknowledged, written after the acknowledgement.
 */
import { openLog } from '../open-log.ts'
import type { Assignment, GroupMember, Log, SealedCommit, TopicPartition } from '../log.ts'
import { partitionKey } from '../log.ts'
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

/** Commit n: the value n to partitions 0 and 1, and offset n of partition 2. Goes on from what is committed (R5). */
async function commit(log: Log, { topic, groupId, transactionalId }: CommitTask): Promise<void> {
  const writer = await log.writer({ transactionalId })
  const counted = { topic, partition: 2 }
  const committed = await log.committedOffsets(groupId, [counted])
  for (let n = (committed.get(partitionKey(counted))?.offset ?? 0) + 1; ; n += 1) {
    const sealed: SealedCommit = {
      appends: [0, 1].map((partition) => appendOf({ topic, partition }, [`${n}`])),
      groupId,
      member: undefined,
      offsets: [{ ...counted, offset: n, metadata: `${n}` }],
    }
    const outcome = codeOf(await writer.commit(sealed))
    tell({ n, outcome })
    if (outcome !== 'committed') return
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
