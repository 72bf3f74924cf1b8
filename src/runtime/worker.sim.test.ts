/**
 * Random runs of one application on several processes: they crash, stall inside commits, lose replies, fail to apply, are
 * expelled, come and go. Then all heals, and what was written is compared with a count that knows nothing of any of it.
 */
import { describe, expect, test } from 'bun:test'
import { LogError, type CommitResult } from '#log'
import type { Random } from '#system'
import { long, string, StreamsBuilder, topic, type Topology } from '#topology'
import { gate } from './test-helpers/faulty-log.ts'
import { appendTexts, readTexts } from './test-helpers/log-texts.ts'
import { seededRandom, TestCluster, type TestProcess } from './test-helpers/test-cluster.ts'

const SEEDS = 120
const STEPS = 40
const INSTANCES = ['i0', 'i1', 'i2']
const LIMITS = { rebalanceTimeoutMs: 3_000, sessionTimeoutMs: 2_000 }
const UNKNOWN: CommitResult = {
  outcome: 'unknown',
  error: new LogError('LOG_UNAVAILABLE', 'no reply', { retriable: true }),
}

const words = topic('words', { key: string(), value: string() })
const counts = topic('counts', { key: string(), value: long() })
const values = topic('values', { key: string(), value: long() })
const TOPICS = ['words', 'counts', 'values'].map((name) => ({
  topic: name,
  partitions: 3,
  config: {},
}))

/** Counts by key, and by value behind a repartition topic. */
function topology(): Topology {
  const builder = new StreamsBuilder('sim')
  const stream = builder.stream(words)
  stream.groupByKey().count('by-key').toStream().to(counts)
  stream
    .selectKey((value) => value)
    .repartition('value')
    .groupByKey()
    .count('by-value')
    .toStream()
    .to(values)
  return builder.build()
}

type Fault =
  | 'crash'
  | 'stall-before'
  | 'stall-after'
  | 'request-lost'
  | 'reply-lost'
  | 'apply-failed'
  | 'expelled'
const fired: Record<Fault | 'fenced' | 'restored', number> = {
  crash: 0,
  'stall-before': 0,
  'stall-after': 0,
  'request-lost': 0,
  'reply-lost': 0,
  'apply-failed': 0,
  expelled: 0,
  fenced: 0,
  restored: 0,
}

class Run {
  readonly #random: Random
  readonly #cluster: TestCluster
  readonly #living = new Map<string, TestProcess>()
  readonly #all: TestProcess[] = []
  readonly #held: (() => void)[] = []
  readonly #expected = new Map<string, number>()
  #isHealed = false

  constructor(cluster: TestCluster, random: Random) {
    this.#cluster = cluster
    this.#random = random
  }

  async steps(): Promise<void> {
    for (let step = 0; step < STEPS; step += 1) {
      await this.#step()
      await this.#cluster.pass(this.#random.next() < 0.2 ? 2_500 : this.#below(60))
    }
  }

  async heal(): Promise<void> {
    this.#isHealed = true
    for (const release of this.#held.splice(0)) release()
    if (this.#living.size === 0) this.#start('i0')
    await this.#cluster.caughtUp()
    for (const process of this.#living.values()) {
      fired.restored += process.worker.tasks.restoredRecords
      expect(process.error).toBeUndefined()
    }
    fired.fenced += this.#all
      .flatMap(({ happenings }) => happenings)
      .filter((happening) => happening.kind === 'commit' && happening.outcome === 'aborted').length
  }

  async check(): Promise<void> {
    for (const [name, keys] of [
      ['counts', 'key'],
      ['values', 'value'],
    ] as const) {
      const written = await readTexts(this.#cluster.log, name, long())
      const last = new Map<string, number>()
      for (const [key, count] of written) {
        expect([name, key, count]).toEqual([name, key, (last.get(key) ?? 0) + 1])
        last.set(key, count ?? 0)
      }
      const wanted = [...this.#expected].filter(([key]) => key.startsWith(keys)).sort()
      expect([...last].sort()).toEqual(wanted)
    }
  }

  async #step(): Promise<void> {
    const chance = this.#random.next()
    if (chance < 0.45) return this.#append()
    if (chance < 0.6) return this.#startOne()
    const process = this.#pick()
    if (process === undefined) return this.#startOne()
    if (chance < 0.66) return this.#stop(process)
    if (chance < 0.74) return this.#crash(process)
    if (chance < 0.78) {
      process.disk.failNextApply = true
      fired['apply-failed'] += 1
      return
    }
    if (chance < 0.83) return this.#expel(process)
    if (chance < 0.93) return this.#stall(process, this.#random.next() < 0.5 ? 'before' : 'after')
    this.#lose(process, this.#random.next() < 0.5 ? 'request-lost' : 'reply-lost')
  }

  async #append(): Promise<void> {
    const records = Array.from({ length: 1 + this.#below(6) }, () => {
      const key = `key-${this.#below(5)}`
      const value = `value-${this.#below(3)}`
      for (const counted of [key, value]) {
        this.#expected.set(counted, (this.#expected.get(counted) ?? 0) + 1)
      }
      return [key, value, this.#cluster.clock.nowMs()] as const
    })
    await appendTexts(this.#cluster.log, 'words', records)
  }

  #startOne(): void {
    const idle = INSTANCES.find((instanceId) => !this.#living.has(instanceId))
    if (idle !== undefined) this.#start(idle)
  }

  #start(instanceId: string): void {
    const process = this.#cluster.start({
      instanceId,
      isStatic: this.#random.next() < 0.5,
      standbys: this.#random.next() < 0.3 ? 1 : 0,
      limits: LIMITS,
      commitIntervalMs: 1 + this.#below(50),
    })
    this.#living.set(instanceId, process)
    this.#all.push(process)
  }

  async #stop(process: TestProcess): Promise<void> {
    this.#forget(process)
    for (const release of this.#held.splice(0)) release()
    process.worker.stop(this.#random.next() < 0.5)
    await this.#cluster.until(async () => Boolean(await settled(process.ended)), 'a stop')
  }

  async #crash(process: TestProcess): Promise<void> {
    this.#forget(process)
    fired.crash += 1
    await process.crash()
  }

  #stall(process: TestProcess, where: 'before' | 'after'): void {
    const reply = gate()
    this.#held.push(reply.open)
    const stall = async (): Promise<void> => {
      if (this.#isHealed) return
      fired[`stall-${where}`] += 1
      await reply.opened
    }
    if (where === 'before') process.log.beforeCommit = stall
    else {
      process.log.afterCommit = async (result) => {
        await stall()
        return result
      }
    }
    this.#cluster.clock.after(500 + this.#below(6_000), () => {
      reply.open()
      process.log.beforeCommit = () => Promise.resolve()
      process.log.afterCommit = (result) => Promise.resolve(result)
    })
  }

  #expel(process: TestProcess): void {
    const heard = gate()
    this.#held.push(heard.open)
    this.#cluster.clock.after(100 + this.#below(4_000), heard.open)
    void process.log.expel(heard.opened)
    fired.expelled += 1
  }

  #lose(process: TestProcess, what: 'request-lost' | 'reply-lost'): void {
    if (what === 'reply-lost') {
      process.log.afterCommit = async () => {
        process.log.afterCommit = (result) => Promise.resolve(result)
        fired[what] += 1
        return UNKNOWN
      }
      return
    }
    process.log.loseNextRequest = () => {
      fired[what] += 1
      return UNKNOWN
    }
  }

  #pick(): TestProcess | undefined {
    const living = [...this.#living.values()]
    return living[this.#below(living.length)]
  }

  #forget(process: TestProcess): void {
    for (const [id, other] of this.#living) if (other === process) this.#living.delete(id)
  }

  #below(limit: number): number {
    return Math.floor(this.#random.next() * limit)
  }
}

async function settled(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol('pending')
  return (await Promise.race([promise, Promise.resolve(pending)])) !== pending
}

describe('processes that crash, stall, lose replies, come and go', () => {
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    test(`seed ${seed}: every record has its effect once`, async () => {
      const run = new Run(await TestCluster.of(topology(), TOPICS), seededRandom(seed))
      await run.steps()
      await run.heal()
      await run.check()
    })
  }

  test('and each of these happened', () => {
    for (const [what, times] of Object.entries(fired)) {
      expect([what, times > 0]).toEqual([what, true])
    }
  })
})
