/** A topology against hand-written loops over the same log: both are handed the same orders, round by round. */
import { type Log, type TopicPartition } from '#log'
import type { StreamsOptions } from '#runtime'
import type { Topology } from '#topology'
import { checksumOf, empty, foldOf } from './checksum.ts'
import { Engine } from './engine.ts'
import type { Figure } from './figure.ts'
import { Loop, type LoopBody } from './loop.ts'
import { orderBatches, type Order } from './orders.ts'
import { compare, type Floor, type Rounds, type Side } from './rounds.ts'

export interface EndToEnd {
  readonly bench: string
  readonly log: Log
  readonly topology: (applicationId: string, input: string, output: string) => Topology
  readonly engine: Omit<StreamsOptions, 'log' | 'createTopics'>
  readonly loops: Readonly<Record<string, () => LoopBody>>
  readonly stores: readonly string[]
  /** Orders of a round; round −1 is what has been there before. */
  readonly orders: (round: number) => Iterable<Order>
  readonly records: number
  readonly rounds: Rounds
  readonly floors: readonly Floor[]
}

/** Topics of one side. */
interface Places {
  readonly input: TopicPartition
  readonly output: TopicPartition
  readonly changelogs: readonly TopicPartition[]
}

export async function endToEnd(options: EndToEnd): Promise<readonly Figure[]> {
  const { bench, log } = options
  const engine = await engineSide(options)
  const loops = await Promise.all(
    Object.entries(options.loops).map(([name, body]) =>
      loopSide(options, name, body(), () => engine.commitRecords()),
    ),
  )
  const sides = [engine, ...loops]
  for (const side of sides) {
    await side.prepare(-1)
    await side.run()
    await side.check()
  }
  const figures = await compare(bench, sides, {
    rounds: options.rounds,
    records: options.records,
    ratios: options.floors,
    note: () => `a commit every ${engine.commitRecords()} records`,
  })
  for (const side of sides) await side.close()
  await log.close()
  return figures
}

interface LogSide extends Side {
  prepare(round: number): Promise<void>
  run(): Promise<void>
  check(): Promise<string>
  close(): Promise<void>
}

async function engineSide(
  options: EndToEnd,
): Promise<LogSide & { readonly commitRecords: () => number }> {
  const { bench, log, stores } = options
  const applicationId = `${bench}-engine`
  const places = await placesOf(log, applicationId, stores)
  const { input, output } = places
  const topology = options.topology(applicationId, input.topic, output.topic)
  const engine = await Engine.start(topology, { ...options.engine, log })
  const feed = new Feed(options, input)
  let commitRecords = 0
  return {
    name: 'engine',
    commitRecords: () => commitRecords,
    prepare: (round) => feed.append(round),
    async run() {
      const before = engine.commits
      await engine.committed(input, feed.endOffset)
      commitRecords = Math.ceil(feed.count / (engine.commits - before))
    },
    check: () => checkOf(log, places),
    close: () => engine.close(),
  }
}

async function loopSide(
  options: EndToEnd,
  name: string,
  body: LoopBody,
  commitRecords: () => number,
): Promise<LogSide> {
  const { bench, log, stores } = options
  const groupId = `${bench}-${name}`
  const places = await placesOf(log, groupId, stores)
  const { input, output } = places
  await log.createTopics(
    places.changelogs.map(({ topic }) => ({ topic, partitions: 1, config: {} })),
  )
  const changelogs = new Map(stores.map((store, n) => [store, places.changelogs[n]]))
  const loop = await Loop.start(log, {
    groupId,
    input,
    output,
    changelogOf: (store) => changelogs.get(store) ?? output,
    body,
  })
  const feed = new Feed(options, input)
  return {
    name,
    prepare: (round) => feed.append(round),
    run: () => loop.run(feed.endOffset, commitRecords()),
    check: () => checkOf(log, places),
    close: () => loop.close(),
  }
}

/** Appends a side's orders of a round, all at once. */
class Feed {
  readonly #options: EndToEnd
  readonly #input: TopicPartition
  endOffset: number = 0
  count: number = 0

  constructor(options: EndToEnd, input: TopicPartition) {
    this.#options = options
    this.#input = input
  }

  async append(round: number): Promise<void> {
    const { bytes, count } = orderBatches(this.#options.orders(round))
    const writer = await this.#options.log.writer()
    this.count = count
    this.endOffset += count
    await writer.append({ ...this.#input, bytes, count })
    await writer.close()
  }
}

async function placesOf(log: Log, owner: string, stores: readonly string[]): Promise<Places> {
  const place = (topic: string): TopicPartition => ({ topic, partition: 0 })
  const places = {
    input: place(`${owner}-input`),
    output: place(`${owner}-output`),
    changelogs: stores.map((store) => place(`${owner}-${store}-changelog`)),
  }
  const { input, output } = places
  await log.createTopics([input, output].map(({ topic }) => ({ topic, partitions: 1, config: {} })))
  return places
}

async function checkOf(log: Log, { input, output, changelogs }: Places): Promise<string> {
  const sums = [await checksumOf(log, output)]
  for (const changelog of changelogs) sums.push(await foldOf(log, changelog))
  for (const place of [input, output, ...changelogs]) await empty(log, place)
  return Bun.hash.xxHash64(sums.join(' ')).toString(16)
}
