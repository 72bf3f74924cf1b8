/** How long a commit of three partitions and their offsets takes on a real broker, back to back and with pauses between. */
import { startCluster } from '#kafka-for-tests'
import {
  type Log,
  type MemberIdentity,
  openLog,
  RecordBatchWriter,
  type SealedCommit,
  type TopicPartition,
} from '#log'
import { figureOf, type Figure } from './figure.ts'

const TOPIC = 'committed'
const PARTITIONS = [0, 1, 2]
const PAUSES_MS = [0, 50]

export async function kafkaCommit(options: {
  readonly commits: number
  readonly repeats: number
}): Promise<readonly Figure[]> {
  const { commits, repeats } = options
  const cluster = await startCluster()
  const log = await openLog(`kafka://${cluster.bootstrap}`)
  try {
    await log.createTopics([{ topic: TOPIC, partitions: PARTITIONS.length, config: {} }])
    const { member, close } = await joinAlone(log)
    const writer = await log.writer({ transactionalId: 'bench' })
    const figures: Figure[] = []
    for (const pauseMs of PAUSES_MS) {
      const halves: number[] = []
      const tails: number[] = []
      for (let repeat = 0; repeat <= repeats; repeat += 1) {
        const timesMs: number[] = []
        for (let n = 0; n < commits; n += 1) {
          const startedMs = performance.now()
          const { outcome } = await writer.commit(sealedAt(n, member))
          timesMs.push(performance.now() - startedMs)
          if (outcome !== 'committed') throw new Error(`commit ${n} is ${outcome}`)
          if (pauseMs > 0) await Bun.sleep(pauseMs)
        }
        timesMs.sort((a, b) => a - b)
        // The first one warms up.
        if (repeat === 0) continue
        halves.push(timesMs[Math.floor(commits / 2)] ?? Number.NaN)
        tails.push(timesMs[Math.floor(commits * 0.99)] ?? Number.NaN)
      }
      const bench = 'kafka-commit'
      const when = pauseMs === 0 ? 'back to back' : `${pauseMs} ms apart`
      figures.push(figureOf(halves, { bench, name: `p50, ${when}`, unit: 'ms' }))
      figures.push(figureOf(tails, { bench, name: `p99, ${when}`, unit: 'ms' }))
    }
    await writer.close()
    await close()
    return figures
  } finally {
    await log.close()
    await cluster.down()
  }
}

/** The only member of its group, which holds everything. */
async function joinAlone(
  log: Log,
): Promise<{ readonly member: MemberIdentity; close(): Promise<void> }> {
  const userData = new Uint8Array()
  const partitions: readonly TopicPartition[] = PARTITIONS.map((partition) => {
    return { topic: TOPIC, partition }
  })
  const joined = await log.join({
    groupId: 'bench',
    topics: [TOPIC],
    userData: () => userData,
    assignor: (members) =>
      new Map(members.map(({ memberId }) => [memberId, { partitions, userData }])),
    sessionTimeoutMs: 30_000,
    rebalanceTimeoutMs: 30_000,
  })
  const close = (): Promise<void> => joined.close({ leave: true })
  return new Promise((resolve) => {
    const take = (): void => {
      const event = joined.take()
      if (event?.kind === 'assigned') resolve({ member: event.assignment, close })
    }
    joined.onEvent(take)
    take()
  })
}

function sealedAt(n: number, member: MemberIdentity): SealedCommit {
  const appends = PARTITIONS.map((partition) => {
    const batch = new RecordBatchWriter()
    batch.add(Date.now(), null, Buffer.from(`${n}`), [])
    return { topic: TOPIC, partition, bytes: batch.finish(), count: 1 }
  })
  const offsets = PARTITIONS.map((partition) => {
    return { topic: TOPIC, partition, offset: n, metadata: '' }
  })
  return { appends, groupId: undefined, member, offsets }
}
