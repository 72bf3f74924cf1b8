import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLog, type Log } from '#log'
import { long } from '#topology'
import type { Queryable } from './query.ts'
import { Streams } from './streams.ts'
import { COUNTED_KEYS, COUNTING_TOPICS } from './test-helpers/counting.ts'
import { appendTexts, readTexts } from './test-helpers/log-texts.ts'

const TOPOLOGY = {
  module: new URL('./test-helpers/counting.ts', import.meta.url).href,
  export: 'countingTopology',
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
    const rows = (await first.query(table).range()).value
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
