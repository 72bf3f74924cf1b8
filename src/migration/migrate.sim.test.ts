/**
 * Random logs, migrated by calls that end anywhere, while either log cleans up and the source goes on in between: whoever reads
 * on at a committed offset reads the same records as there.
 */
import { expect, test } from 'bun:test'
import { partitionKey, ReplyLosingLog, type TopicPartition } from '#log'
import { createMemoryLog, type MemoryLog } from '#log/memory'
import { MIGRATION_FAILPOINTS } from './migrate.ts'
import {
  append,
  commit,
  create,
  hastyClock as clock,
  place,
  read,
  run,
  withoutOffsets,
} from './test-helper/logs.ts'

const RUNS = 60
const ATTEMPTS_MAX = 6
const KEPT = { 'retention.ms': '-1' }
const COMPACT = { 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': '0.01' }
/** Some records are so large that a few of them fill a commit. */
const LARGE = 'v'.repeat(150_000)

/** Mulberry32. */
function randomOf(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296) * below)
  }
}

class History {
  readonly source: MemoryLog = createMemoryLog()
  readonly target: MemoryLog = createMemoryLog()
  readonly places: TopicPartition[] = []
  readonly #next: (below: number) => number
  #count = 0
  /** Calls that a failpoint or the source ended, and commits that got no answer. */
  readonly ended = { failpoint: 0, unanswered: 0, moved: 0 }

  constructor(seed: number) {
    this.#next = randomOf(seed)
  }

  async run(): Promise<void> {
    await this.#begin()
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      await this.#endedSomewhere()
      await this.#between()
    }
    await run(this.source, this.target, { clock })
    await this.#check()
  }

  async #begin(): Promise<void> {
    const topics = 1 + this.#next(3)
    for (let topic = 0; topic < topics; topic += 1) {
      const partitions = 1 + this.#next(2)
      await create(this.source, `t${topic}`, partitions, this.#next(2) === 0 ? KEPT : COMPACT)
      for (let partition = 0; partition < partitions; partition += 1) {
        this.places.push(place(`t${topic}`, partition))
      }
    }
    for (let n = this.#next(30); n >= 0; n -= 1) await this.#append()
    for (let group = 0; group < 3; group += 1) await this.#commitGroup(`g${group}`)
    if (this.#next(2) === 0) await this.source.settleMaintenance()
  }

  async #append(): Promise<void> {
    const at = this.places[this.#next(this.places.length)] ?? place('t0')
    const records = Array.from({ length: 1 + this.#next(6) }, () => {
      this.#count += 1
      const value = `${this.#count}${this.#next(2) === 0 ? LARGE : ''}`
      return { key: `k${this.#next(5)}`, value, timestampMs: 1_000 + this.#count }
    })
    await append(this.source, at, records, (['none', 'gzip', 'zstd'] as const)[this.#next(3)])
  }

  async #commitGroup(groupId: string): Promise<void> {
    const offsets: Parameters<typeof commit>[2] = { groupId, offsets: [] }
    const chosen = []
    for (const at of this.places) {
      const end = await this.source.endOffset(at, 'read-committed')
      chosen.push({ ...at, offset: this.#next(end + 1), metadata: groupId })
    }
    await commit(this.source, [], { ...offsets, offsets: chosen })
  }

  /** A call that a failpoint ends, or whose commits lose their replies, or both. */
  async #endedSomewhere(): Promise<void> {
    const name = MIGRATION_FAILPOINTS[this.#next(MIGRATION_FAILPOINTS.length)]
    let left = 1 + this.#next(3)
    const lossy = this.#next(3) === 0
    const target = new ReplyLosingLog(this.target, () =>
      lossy && this.#next(3) === 0 ? (this.#next(2) === 0 ? 'reply' : 'request') : 'none',
    )
    const isWritten = !(await this.#isCarried()) && this.#next(4) === 0
    let written: Promise<void> = Promise.resolve()
    const failpoint = (passed: string): void => {
      if (passed === 'migration:copied' && isWritten) written = this.#append()
      if (passed === name && (left -= 1) === 0) throw new TypeError('ended')
    }
    try {
      await run(this.source, target, { clock, failpoint })
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : ''
      if (error instanceof TypeError) this.ended.failpoint += 1
      else if (code === 'SOURCE_MOVED') this.ended.moved += 1
      else if (code !== 'INTERRUPTED') throw error
    }
    await written
    this.ended.unanswered += target.lost.reply + target.lost.request
  }

  async #between(): Promise<void> {
    if (this.#next(2) === 0 && !(await this.#isCarried())) await this.#append()
    if (this.#next(3) === 0) await this.source.settleMaintenance()
    if (this.#next(3) === 0) await this.target.settleMaintenance()
  }

  /** From here on the source is not to go on. */
  async #isCarried(): Promise<boolean> {
    return (await this.target.committedOffsets('g0', this.places)).size > 0
  }

  async #check(): Promise<void> {
    await this.source.settleMaintenance()
    await this.target.settleMaintenance()
    for (const at of this.places) {
      const before = await read(this.source, at)
      const after = await read(this.target, at)
      expect(withoutOffsets(after)).toEqual(withoutOffsets(before))
      for (const groupId of ['g0', 'g1', 'g2']) {
        const [from, to] = [
          await this.#offset(this.source, groupId, at),
          await this.#offset(this.target, groupId, at),
        ]
        expect(withoutOffsets(after.filter(({ offset }) => offset >= to))).toEqual(
          withoutOffsets(before.filter(({ offset }) => offset >= from)),
        )
      }
    }
  }

  async #offset(log: MemoryLog, groupId: string, at: TopicPartition): Promise<number> {
    const found = (await log.committedOffsets(groupId, [at])).get(partitionKey(at))
    expect(found?.metadata).toBe(groupId)
    return found?.offset ?? -1
  }
}

test(`${RUNS} histories`, async () => {
  const ended = { failpoint: 0, unanswered: 0, moved: 0 }
  for (let seed = 1; seed <= RUNS; seed += 1) {
    const history = new History(seed)
    try {
      await history.run()
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error })
    }
    ended.failpoint += history.ended.failpoint
    ended.unanswered += history.ended.unanswered
    ended.moved += history.ended.moved
  }
  expect(ended.failpoint).toBeGreaterThan(RUNS)
  expect(ended.unanswered).toBeGreaterThan(RUNS / 4)
  expect(ended.moved).toBeGreaterThan(0)
}, 120_000)
