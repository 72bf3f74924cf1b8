import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLog, type Log } from '#log'
import { long } from '#topology'
import type { Queryable } from './query.ts'
import { Streams } from './streams.ts'
import { COUNTED_KEYS, COUNTING_TOPICS } from './test-helpers/counting.ts'
import { appendTexts, readPartitions, readTexts } from './test-helpers/log-texts.ts'

const TOPOLOGY = {
  module: new URL('./test-helpers/counting.ts', import.meta.url).href,
  export: 'countingTopology',
}

async function ends(log: Log): Promise<Record<string, number>> {
  const positions: Record<string, number> = {}
  for (let partition = 0; partition < 4; partition += 1) {
    const end = await log.endOffset({ topic: 'words', partition }, 'read-committed')
    positions[`words-${partition}`] = end
  }
  return positions
}

describe('workers on threads of their own', () => {
  let folder = ''
  let log: Log
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'millrace-pool-'))
    log = await openLog(`sqlite:${folder}/log.db`)
  })
  afterAll(async () => {
    await log.close()
    await rm(folder, { recursive: true })
  })

  function start(): Streams {
    return new Streams(TOPOLOGY, {
      log,
      stateDir: join(folder, 'state'),
      workers: 3,
      createTopics: COUNTING_TOPICS,
    })
  }

  async function count(streams: Streams, rounds: number): Promise<void> {
    for (let round = 0; round < rounds; round += 1) {
      await appendTexts(
        log,
        'words',
        COUNTED_KEYS.map((key) => [key, 'x']),
      )
    }
    while ((await streams.lag()).some(({ lagRecords }) => lagRecords > 0)) await Bun.sleep(5)
  }

  test('share the tasks, answer queries across threads, and leave their state for the next start', async () => {
    const first = start()
    await first.start()
    await count(first, 5)
    const table: Queryable<string, number> = { name: 'word-counts' }
    // Committed is not yet applied: the answer waits for the effects of everything that was appended.
    const minPositions = await ends(log)
    const rows = (await first.query(table).range({}, { minPositions, waitMs: 10_000 })).value
    expect(rows.map(({ key, value }) => [key, value]).sort()).toEqual(
      COUNTED_KEYS.map((key) => [key, 5]),
    )
    const answer = await first.query(table).get('key-3')
    expect(answer.value).toBe(5)
    expect(answer.stale).toBe(false)
    const threads = (): number => new Set(first.metrics.tasks.map(({ worker }) => worker)).size
    while (threads() < 3) await Bun.sleep(5)
    await first.close()
    expect(first.metrics.recordsProcessed).toBe(50)

    const second = start()
    await second.start()
    await count(second, 5)
    await second.close({ leave: true })
    expect(second.metrics.restoredRecords).toBe(0)
    const out = await readTexts(log, 'counts', long())
    for (const key of COUNTED_KEYS) {
      expect(out.filter(([found]) => found === key).map(([, value]) => value)).toEqual([
        1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
      ])
    }
  })

  test('write what one worker writes, whatever the commit interval: equal per partition (I10)', async () => {
    const records = Array.from({ length: 20_000 }, (_, n) => [`key-${n % 97}`, 'x', n] as const)
    const runs: unknown[] = []
    for (const [workers, commitIntervalMs] of [
      [1, 1],
      [1, 5_000],
      [4, 1],
      [4, 100],
    ] as const) {
      const path = join(folder, `run-${runs.length}`)
      const own = await openLog(`sqlite:${path}.db`, { durability: 'process' })
      await own.createTopics(COUNTING_TOPICS)
      await appendTexts(own, 'words', records)
      const streams = new Streams(TOPOLOGY, {
        log: own,
        stateDir: path,
        backend: 'sqlite',
        workers,
        commitIntervalMs,
      })
      await streams.start()
      while ((await streams.lag()).some(({ lagRecords }) => lagRecords > 0)) await Bun.sleep(5)
      await streams.close({ leave: true })
      expect(streams.metrics.recordsProcessed).toBe(20_000)
      runs.push(await readPartitions(own, 'counts', long()))
      await own.close()
    }
    for (const run of runs.slice(1)) expect(run).toEqual(runs[0])
  }, 180_000)

  test('take the process with them when they die (R17)', async () => {
    const code = `
      const { openLog } = await import(${JSON.stringify(new URL('../log/index.ts', import.meta.url).href)})
      const { Streams } = await import(${JSON.stringify(new URL('./streams.ts', import.meta.url).href)})
      const log = await openLog('sqlite:${join(folder, 'dying.db')}')
      const streams = new Streams(
        { module: ${JSON.stringify(new URL('./test-helpers/dying.ts', import.meta.url).href)}, export: 'dyingTopology' },
        { log, stateDir: '${join(folder, 'dying')}', workers: 2,
          createTopics: [{ topic: 'words', partitions: 1, config: {} }],
          observer: (happening) => happening.kind === 'failed' && console.log(happening.error.message) },
      )
      setInterval(() => {}, 1000)
      await streams.start()`
    const child = Bun.spawn([process.execPath, '-e', code], { stdout: 'pipe', stderr: 'pipe' })
    expect(await child.exited).toBe(1)
    expect(await new Response(child.stdout).text()).toContain('a thread of workers died')
  }, 180_000)

  test('refuse a module that exports no topology, by name', async () => {
    const streams = new Streams(
      { ...TOPOLOGY, export: 'COUNTED_KEYS' },
      { log, stateDir: join(folder, 'other'), workers: 2 },
    )
    await expect(streams.start()).rejects.toMatchObject({ code: 'OPTION_INVALID' })
    expect(streams.state).toBe('error')
    await streams.close()
  })
})
