/** How long a commit of three partitions and their offsets takes on a real broker, one after the other and with pauses between. */
import { startCluster } from '#kafka-for-tests'
import { openLog, RecordBatchWriter, type SealedCommit } from '#log'
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
    const writer = await log.writer({ transactionalId: 'bench' })
    const figures: Figure[] = []
    for (const pauseMs of PAUSES_MS) {
      const halves: number[] = []
      const tails: number[] = []
      for (let repeat = 0; repeat <= repeats; repeat += 1) {
        const timesMs: number[] = []
        for (let n = 0; n < commits; n += 1) {
          const startedMs = performance.now()
          const { outcome } = await writer.commit(sealedAt(n))
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
    return figures
  } finally {
    await log.close()
    await cluster.down()
  }
}

function sealedAt(n: number): SealedCommit {
  const appends = PARTITIONS.map((partition) => {
    const batch = new RecordBatchWriter()
    batch.add(Date.now(), null, Buffer.from(`${n}`), [])
    return { topic: TOPIC, partition, bytes: batch.finish(), count: 1 }
  })
  const offsets = PARTITIONS.map((partition) => {
    return { topic: TOPIC, partition, offset: n, metadata: '' }
  })
  return { appends, groupId: 'bench', member: undefined, offsets }
}
