import { describe, expect, test } from 'bun:test'
import { appendRounds, countingCluster, expectCounted } from './test-helpers/counting.ts'

describe('a worker', () => {
  test('starts, stops, and goes on with the state it had', async () => {
    const cluster = await countingCluster()
    const first = cluster.start({ instanceId: 'i' })
    await appendRounds(cluster, 3)
    await cluster.caughtUp()
    first.worker.stop(false)
    await first.ended
    expect(first.error).toBeUndefined()

    const second = cluster.start({ instanceId: 'i' })
    await appendRounds(cluster, 2)
    await cluster.caughtUp()
    await expectCounted(cluster, 5)
    // The store was where the changelog ends: nothing had to be read again.
    expect(second.worker.tasks.restoredRecords).toBe(0)
    expect(second.saw('store-rebuilt')).toBe(0)
  })

  test('that crashed is followed by one with equal results, from the stores it left', async () => {
    const cluster = await countingCluster()
    const first = cluster.start({ instanceId: 'i' })
    await appendRounds(cluster, 3)
    await cluster.until(() => first.worker.counters.commits > 0, 'a commit')
    await first.crash()
    await appendRounds(cluster, 2)
    cluster.start({ instanceId: 'i' })
    await cluster.caughtUp()
    await expectCounted(cluster, 5)
  })

  test('restores everything where the stores were lost with the disk', async () => {
    const cluster = await countingCluster()
    const first = cluster.start({ instanceId: 'old' })
    await appendRounds(cluster, 3)
    await cluster.caughtUp()
    first.worker.stop(true)
    await first.ended
    const second = cluster.start({ instanceId: 'new' })
    await appendRounds(cluster, 2)
    await cluster.caughtUp()
    await expectCounted(cluster, 5)
    expect(second.worker.tasks.restoredRecords).toBeGreaterThan(0)
  })
})
