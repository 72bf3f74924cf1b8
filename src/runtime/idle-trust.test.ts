/** Idleness from before a task began is believed once nothing of what was there then is left to be read (R12). */
import { beforeEach, describe, expect, test } from 'bun:test'
import { DelegatingLog, NO_HEADERS, RecordBatchWriter, type Log, type LogWriter } from '#log'
import { createMemoryLog } from '#log/memory'
import { VirtualClock } from '#testing'
import { StreamsBuilder, string, topic, tumbling, type SubTopology, type Topology } from '#topology'
import { IdleTrust } from './idle-trust.ts'

const orders = topic('orders', { key: string(), value: string() })
const totals = topic('totals', { key: string(), value: string() })
const other = topic('other', { key: string(), value: string() })
const TOTAL = 'app-total-repartition'

function totalsOf(after?: string): Topology {
  const builder = new StreamsBuilder('app')
  const minute = tumbling({ sizeMs: 60_000, graceMs: 0 })
  const join = (a: string, b: string): string => a + b
  builder
    .stream(orders, { idle: { closeMs: 1_000, ...(after !== undefined && { after }) } })
    .groupByKey()
    .windowedBy(minute)
    .reduce('each', join, { emit: 'on-close' })
    .toStream()
    .map((value, { key }) => [key, value])
    .repartition('total', { partitions: 1, time: 'slowest-upstream' })
    .groupByKey()
    .windowedBy(minute)
    .reduce('all', join, { emit: 'on-close' })
    .toStream()
    .map((value, { key }) => [key, value])
    .to(totals)
  builder.stream(other).forEach(() => {})
  return builder.build()
}

/** Fails as long as it is told to. */
class AwayLog extends DelegatingLog {
  isAway = false

  override endOffset(...asked: Parameters<Log['endOffset']>): Promise<number> {
    return this.isAway ? Promise.reject(new RangeError('away')) : super.endOffset(...asked)
  }
}

let clock: VirtualClock
let log: AwayLog
let writer: LogWriter

beforeEach(async () => {
  clock = new VirtualClock()
  log = new AwayLog(createMemoryLog({ clock }))
  const topics = ['orders', 'other', 'up-topology', 'up-orders', TOTAL]
  await log.createTopics(
    topics.map((name) => ({ topic: name, partitions: name === 'orders' ? 2 : 1, config: {} })),
  )
  writer = await log.writer({ transactionalId: 'writer' })
})

async function append(name: string, partition: number = 0, text: string = 'x'): Promise<void> {
  const batch = new RecordBatchWriter()
  batch.add(1, Buffer.from(name === 'up-topology' ? 'topics' : 'k'), Buffer.from(text), NO_HEADERS)
  await writer.append({ topic: name, partition, bytes: batch.finish(), count: 1 })
}

async function commit(groupId: string, name: string, partition: number, offset: number) {
  const offsets = [{ topic: name, partition, offset, metadata: '' }]
  await writer.commit({ appends: [], groupId, member: undefined, offsets })
}

/** Asks as a task does, until nothing is on its way any more. */
class Asker {
  answers = 0
  readonly #trust: IdleTrust
  readonly #total: SubTopology

  constructor(topology: Topology) {
    const total = topology.subTopologies.find(({ sources }) => sources.some((s) => s.internal))
    if (total === undefined) throw new RangeError('a sub-topology below the repartition')
    this.#total = total
    this.#trust = new IdleTrust(log, topology, () => (this.answers += 1))
  }

  async ask(): Promise<boolean> {
    let isTrusted = false
    for (let turn = 0; turn < 200; turn += 1) {
      isTrusted = this.#trust.mayTrust(this, this.#total)
      await clock.turn()
    }
    return isTrusted
  }
}

describe('idleness from before is believed', () => {
  test('at once where nothing is left to be read', async () => {
    await append('orders', 1)
    await commit('app', 'orders', 1, 1)
    const asker = new Asker(totalsOf())
    expect(await asker.ask()).toBe(true)
    expect(asker.answers).toBe(1)
  })

  test('once all that was there has been committed, whatever has come since', async () => {
    await append('orders', 0)
    await append('orders', 1)
    await commit('app', 'orders', 0, 1)
    const asker = new Asker(totalsOf())
    expect(await asker.ask()).toBe(false)
    // The orders go on: what comes now is not what was asked about.
    await append('orders', 1)
    await commit('app', 'orders', 1, 1)
    await append('orders', 0)
    const answer = await asker.ask()
    expect(answer).toBe(false)
    // The second hop asks for what was there after the first.
    await commit('app', 'orders', 1, 2)
    await commit('app', 'orders', 0, 2)
    await append('orders', 0)
    expect(await asker.ask()).toBe(true)
  })

  test('not before what came of it has been read by the asking task too', async () => {
    await append('orders', 0)
    const asker = new Asker(totalsOf())
    expect(await asker.ask()).toBe(false)
    await append(TOTAL)
    await commit('app', 'orders', 0, 1)
    expect(await asker.ask()).toBe(false)
    await commit('app', TOTAL, 0, 1)
    expect(await asker.ask()).toBe(true)
  })

  test('whatever waits in inputs that do not reach the asking task', async () => {
    await append('other')
    expect(await new Asker(totalsOf()).ask()).toBe(true)
  })

  test('not before the application that the sources wait for has caught up', async () => {
    const asker = new Asker(totalsOf('up'))
    // It has never started: nobody can say.
    expect(await asker.ask()).toBe(false)
    await append(
      'up-topology',
      0,
      JSON.stringify({ inputs: ['up-orders'], outputs: [], internal: [] }),
    )
    await append('up-orders')
    expect(await asker.ask()).toBe(false)
    await append('orders')
    await commit('up', 'up-orders', 0, 1)
    expect(await asker.ask()).toBe(false)
    await commit('app', 'orders', 0, 1)
    expect(await asker.ask()).toBe(true)
  })

  test('not while the log is away', async () => {
    log.isAway = true
    const asker = new Asker(totalsOf())
    expect(await asker.ask()).toBe(false)
    log.isAway = false
    expect(await asker.ask()).toBe(true)
  })
})
