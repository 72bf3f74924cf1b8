import { describe, expect, test } from 'bun:test'
import {
  appendRounds,
  countingCluster,
  COUNTED_KEYS,
  expectCounted,
} from './test-helpers/counting.ts'
import { gate } from './test-helpers/faulty-log.ts'
import type { TestCluster, TestProcess } from './test-helpers/test-cluster.ts'

const LIMITS = { isStatic: false, limits: { rebalanceTimeoutMs: 3_000, sessionTimeoutMs: 2_000 } }

/** Starts a process and stalls its next commit: before it reaches the log, or between its commit point and its apply. */
async function stalledInCommit(
  cluster: TestCluster,
  where: 'before' | 'after',
): Promise<{ readonly process: TestProcess; readonly resume: () => void }> {
  const process = cluster.start(LIMITS)
  await cluster.until(() => process.state === 'running', 'running')
  await appendRounds(cluster, 1)
  await cluster.caughtUp()
  const reply = gate()
  let isStalled = false
  const stall = async (): Promise<void> => {
    isStalled = true
    await reply.opened
  }
  process.log.beforeCommit = () => (where === 'before' ? stall() : Promise.resolve())
  process.log.afterCommit = async (result) => {
    if (where === 'after') await stall()
    return result
  }
  await appendRounds(cluster, 1)
  await cluster.until(() => isStalled, 'a stalled commit')
  const resume = (): void => {
    process.log.beforeCommit = () => Promise.resolve()
    process.log.afterCommit = (result) => Promise.resolve(result)
    reply.open()
  }
  return { process, resume }
}

describe('two members of one group', () => {
  test('share the tasks, and a revoke moves them with everything committed', async () => {
    const cluster = await countingCluster()
    const first = cluster.start(LIMITS)
    await appendRounds(cluster, 2)
    await cluster.caughtUp()
    expect(first.tasks).toEqual(['0_0', '0_1', '0_2', '0_3'])
    const second = cluster.start(LIMITS)
    await appendRounds(cluster, 2)
    await cluster.until(() => second.tasks.length === 2 && first.tasks.length === 2, 'shared')
    await appendRounds(cluster, 2)
    await cluster.caughtUp()
    await expectCounted(cluster, 6)
    expect([...first.tasks, ...second.tasks].sort()).toEqual(['0_0', '0_1', '0_2', '0_3'])

    first.worker.stop(true)
    await first.ended
    await appendRounds(cluster, 2)
    await cluster.caughtUp()
    expect(second.tasks.length).toBe(4)
    await expectCounted(cluster, 8)
  })

  test('a process that dies is replaced after its session, without its commits in flight', async () => {
    const cluster = await countingCluster()
    const first = cluster.start(LIMITS)
    const second = cluster.start(LIMITS)
    await cluster.until(() => first.tasks.length === 2 && second.tasks.length === 2, 'shared')
    await appendRounds(cluster, 3)
    await cluster.until(() => first.worker.counters.commits > 0, 'a commit')
    await first.crash()
    await appendRounds(cluster, 3)
    await cluster.caughtUp()
    await expectCounted(cluster, 6)
    expect(second.tasks.length).toBe(4)
  })

  test('a commit whose apply comes after its task has moved does not claim what the new owner wrote (R2, T2)', async () => {
    const cluster = await countingCluster()
    const { process: paused, resume } = await stalledInCommit(cluster, 'after')
    const other = cluster.start(LIMITS)
    // Asked to give up, the paused one does not answer; its tasks move without it.
    await cluster.until(() => other.tasks.length === 4, 'moved')
    await appendRounds(cluster, 3)
    await cluster.caughtUp()

    resume()
    await cluster.until(() => paused.tasks.length === 2, 'shared again')
    other.worker.stop(true)
    await other.ended
    await cluster.until(() => paused.tasks.length === 4, 'moved back')
    await appendRounds(cluster, 1)
    await cluster.caughtUp()
    // Its stores were behind by what the other wrote, and knew it: each key's count goes on where the other stopped.
    await expectCounted(cluster, 6)
    expect(paused.worker.tasks.restoredRecords).toBeGreaterThanOrEqual(COUNTED_KEYS.length)
    expect(paused.saw('store-rebuilt')).toBe(0)
  })

  test('a commit sealed under a passed generation is refused, whatever its member has become (R1, T4)', async () => {
    const cluster = await countingCluster()
    const { process: zombie, resume } = await stalledInCommit(cluster, 'before')
    const other = cluster.start(LIMITS)
    await cluster.until(() => other.tasks.length === 4, 'moved')
    await cluster.caughtUp()
    resume()
    await cluster.until(() => zombie.worker.counters.commitsFailed > 0, 'refused')
    await cluster.until(() => zombie.tasks.length === 2, 'shared again')
    await appendRounds(cluster, 2)
    await cluster.caughtUp()
    await expectCounted(cluster, 4)
    const outcomes = zombie.happenings.flatMap((happening) =>
      happening.kind === 'commit' ? [happening.outcome] : [],
    )
    expect(outcomes).toContain('aborted')
  })

  test('a standby follows, and takes over with little left to restore', async () => {
    const cluster = await countingCluster()
    const options = { ...LIMITS, standbys: 1 }
    const first = cluster.start(options)
    const second = cluster.start(options)
    await cluster.until(() => first.tasks.length === 2 && second.tasks.length === 2, 'shared')
    await appendRounds(cluster, 20)
    await cluster.caughtUp()
    await cluster.until(
      () => second.worker.tasks.restoredRecords + first.worker.tasks.restoredRecords > 0,
      'standbys followed',
    )
    await cluster.pass(2_000)
    const followed = second.worker.tasks.restoredRecords
    first.worker.stop(true)
    await first.ended
    await appendRounds(cluster, 1)
    await cluster.caughtUp()
    await expectCounted(cluster, 21)
    expect(second.tasks.length).toBe(4)
    expect(followed).toBeGreaterThan(0)
    expect(second.worker.tasks.restoredRecords).toBe(followed)
  })

  test('a member without state builds it up while the other goes on, and only then takes its share', async () => {
    const cluster = await countingCluster()
    const options = { ...LIMITS, limits: { ...LIMITS.limits, acceptableLagRecords: 4 } }
    const first = cluster.start(options)
    await cluster.until(() => first.state === 'running', 'running')
    for (let round = 0; round < 10; round += 1) {
      await appendRounds(cluster, 1)
      await cluster.caughtUp()
    }
    const second = cluster.start(options)
    await cluster.until(() => second.worker.tasks.assigned.warmUp.length === 2, 'warming up')
    expect(first.tasks.length).toBe(4)
    expect(second.tasks).toEqual([])
    await appendRounds(cluster, 1)
    await cluster.until(() => second.tasks.length === 2, 'moved')
    const warmedUp = second.worker.tasks.restoredRecords
    await appendRounds(cluster, 1)
    await cluster.caughtUp()
    expect([...first.tasks, ...second.tasks].sort()).toEqual(['0_0', '0_1', '0_2', '0_3'])
    expect(second.worker.tasks.assigned.warmUp).toEqual([])
    // Everything was restored before the move, but what was written meanwhile.
    expect(warmedUp).toBeGreaterThan(0)
    expect(second.worker.tasks.restoredRecords - warmedUp).toBeLessThanOrEqual(10)
    await expectCounted(cluster, 12)
  })

  test('a static member that comes back elsewhere joins a second time, so that the others learn where it answers', async () => {
    const cluster = await countingCluster()
    const other = cluster.start({ endpoint: 'http://other' })
    const first = cluster.start({ instanceId: 'static', endpoint: 'http://before' })
    await cluster.until(() => first.tasks.length === 2 && other.tasks.length === 2, 'shared')
    const held = first.tasks
    first.worker.stop(false)
    await first.ended
    const second = cluster.start({ instanceId: 'static', endpoint: 'http://after' })
    const ownersOf = (taskId: string | undefined): string | undefined =>
      other.worker.tasks.assigned.owners[taskId ?? '']
    await cluster.until(() => ownersOf(held[0]) === 'http://after', 'the others know')
    await cluster.until(() => second.state === 'running', 'running')
    expect(second.tasks).toEqual(held)
    await appendRounds(cluster, 1)
    await cluster.caughtUp()
    await expectCounted(cluster, 1)
  })
})
