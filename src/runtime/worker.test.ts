import { describe, expect, test } from 'bun:test'
import { StateError } from '#state'
import { gate } from './test-helpers/faulty-log.ts'
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

  for (const end of ['is to give up its tasks', 'stops'] as const) {
    test(`whose store cannot be read for the last commit before it ${end} loses that commit only`, async () => {
      const cluster = await countingCluster()
      const first = cluster.start({ instanceId: 'first' })
      await appendRounds(cluster, 1)
      await cluster.caughtUp()
      // One commit is held, so that what comes after it can only be sealed by the last one.
      const held = gate()
      first.log.beforeCommit = () => held.opened
      await appendRounds(cluster, 1)
      await cluster.pass(50)
      await appendRounds(cluster, 1)
      await cluster.pass(50)
      let failed = 0
      for (const { task } of first.worker.tasks.running.values()) {
        task.seal = () => {
          failed += 1
          throw new StateError('STORE_FAILED', 'the disk refused this read')
        }
      }
      if (end === 'stops') first.worker.stop(true)
      cluster.start({ instanceId: 'second' })
      // It hears of the other with a heartbeat.
      await cluster.pass(2_000)
      held.open()
      await cluster.caughtUp()
      expect(first.error).toBeUndefined()
      expect(failed).toBe(1)
      await expectCounted(cluster, 3)
    })
  }
})
