import { describe, expect, test } from 'bun:test'
import { LogError, type CommitResult } from '#log'
import { appendRounds, countingCluster, expectCounted } from './test-helpers/counting.ts'
import { gate } from './test-helpers/faulty-log.ts'
import type { TestProcess } from './test-helpers/test-cluster.ts'

const UNANSWERED: CommitResult = {
  outcome: 'unknown',
  error: new LogError('LOG_UNAVAILABLE', 'no reply', { retriable: true }),
}
const ABORTED: CommitResult = {
  outcome: 'aborted',
  error: new LogError('LOG_UNAVAILABLE', 'aborted', { retriable: true }),
}

/** Every second commit of the process fails in this way; says how often it did. */
function failEverySecond(
  process: TestProcess,
  fault: 'request-lost' | 'reply-lost' | 'aborted',
): { count: number } {
  const fired = { count: 0 }
  let commits = 0
  const writers = process.log.writer.bind(process.log)
  process.log.writer = async (options) => {
    const writer = await writers(options)
    return {
      append: (append) => writer.append(append),
      flush: () => writer.flush(),
      close: () => writer.close(),
      async commit(sealed) {
        commits += 1
        if (commits % 2 === 0) return writer.commit(sealed)
        fired.count += 1
        if (fault === 'aborted') return ABORTED
        if (fault === 'reply-lost') await writer.commit(sealed)
        return UNANSWERED
      },
    }
  }
  return fired
}

describe('a commit that does not end well', () => {
  for (const fault of ['request-lost', 'reply-lost', 'aborted'] as const) {
    test(`(${fault}) leads to recovery, and every effect is there once (R5)`, async () => {
      const cluster = await countingCluster()
      const process = cluster.start()
      const fired = failEverySecond(process, fault)
      for (let round = 0; round < 6; round += 1) {
        await appendRounds(cluster, 1)
        await cluster.caughtUp()
      }
      await expectCounted(cluster, 6)
      expect(fired.count).toBeGreaterThan(2)
      expect(process.worker.counters.recoveries).toBe(fired.count)
      expect(process.error).toBeUndefined()
    })
  }

  test('(refused for ever) ends the worker, with what the log said', async () => {
    const cluster = await countingCluster()
    const process = cluster.start()
    await appendRounds(cluster, 1)
    await cluster.caughtUp()
    const error = new LogError('RECORD_TOO_LARGE', 'more than counts takes')
    process.log.afterCommit = () => Promise.resolve({ outcome: 'aborted', error })
    await appendRounds(cluster, 1)
    await process.ended
    expect(process.error).toBe(error)
    expect(process.worker.counters.recoveries).toBe(0)
  })

  test('(nothing but aborts) recovers at a growing distance, and goes on when it can', async () => {
    const cluster = await countingCluster()
    const process = cluster.start()
    const lose = (): CommitResult => {
      process.log.loseNextRequest = lose
      return ABORTED
    }
    process.log.loseNextRequest = lose
    await appendRounds(cluster, 1)
    await cluster.pass(20_000)
    const { recoveries } = process.worker.counters
    expect(recoveries).toBeGreaterThan(5)
    // Two seconds is the longest wait, jittered down to half of it at the least.
    expect(recoveries).toBeLessThan(40)
    process.log.loseNextRequest = undefined
    await cluster.caughtUp()
    await expectCounted(cluster, 1)
  })

  test('(apply failed) leads to recovery from the store as it was (R5)', async () => {
    const cluster = await countingCluster()
    const process = cluster.start()
    await appendRounds(cluster, 2)
    await cluster.caughtUp()
    process.disk.failNextApply = true
    await appendRounds(cluster, 2)
    await cluster.until(() => process.saw('recovering') > 0, 'a recovery')
    await appendRounds(cluster, 1)
    await cluster.caughtUp()
    await expectCounted(cluster, 5)
    expect(process.worker.tasks.restoredRecords).toBeGreaterThan(0)
  })

  test('processing goes on while a commit is in flight, and nothing of it is sent before', async () => {
    const cluster = await countingCluster()
    const process = cluster.start()
    await cluster.until(() => process.state === 'running', 'running')
    const reply = gate()
    let commits = 0
    process.log.beforeCommit = () => {
      commits += 1
      return commits === 1 ? reply.opened : Promise.resolve()
    }
    await appendRounds(cluster, 1)
    await cluster.until(() => commits === 1, 'a commit in flight')
    await appendRounds(cluster, 3)
    await cluster.until(() => process.worker.counters.recordsProcessed === 40, 'all processed')
    expect(commits).toBe(1)
    expect(await cluster.log.endOffset({ topic: 'counts', partition: 0 }, 'read-uncommitted')).toBe(
      0,
    )
    reply.open()
    await cluster.caughtUp()
    await expectCounted(cluster, 4)
  })

  test('the open layer of an aborted commit is dropped with it, stream time and all (R5)', async () => {
    const cluster = await countingCluster()
    const process = cluster.start()
    await cluster.until(() => process.state === 'running', 'running')
    const reply = gate()
    let commits = 0
    let committed = 0
    process.log.afterCommit = async (result, { offsets }) => {
      commits += 1
      if (commits > 1) return result
      committed = offsets.reduce((sum, { offset }) => sum + offset, 0)
      await reply.opened
      return UNANSWERED
    }
    await appendRounds(cluster, 1)
    await cluster.until(() => commits === 1, 'a commit in flight')
    await appendRounds(cluster, 3)
    await cluster.until(() => process.worker.counters.recordsProcessed === 40, 'all processed')
    reply.open()
    await cluster.caughtUp()
    await expectCounted(cluster, 4)
    // What was in the open layer was processed a second time, and nothing else.
    expect(process.worker.counters.recordsProcessed).toBe(40 + 40 - committed)
  })
})

describe('commitIntervalMs', () => {
  for (const commitIntervalMs of [1, 100, 5_000]) {
    test(`of ${commitIntervalMs} ms gives the same outputs`, async () => {
      const cluster = await countingCluster()
      await appendRounds(cluster, 20)
      const process = cluster.start({ commitIntervalMs })
      await cluster.caughtUp()
      await expectCounted(cluster, 20)
      expect(process.worker.counters.recordsProcessed).toBe(200)
    })
  }

  test('is a ceiling: with nothing left to process a commit starts at once', async () => {
    const cluster = await countingCluster()
    const process = cluster.start({ commitIntervalMs: 60_000 })
    await cluster.until(() => process.state === 'running', 'running')
    const startedMs = cluster.clock.elapsedMs()
    await appendRounds(cluster, 1)
    await cluster.caughtUp()
    expect(cluster.clock.elapsedMs() - startedMs).toBeLessThan(1_000)
    const { commits } = process.worker.counters
    await cluster.pass(10_000)
    // With nothing to commit there is no commit.
    expect(process.worker.counters.commits).toBe(commits)
  })
})
