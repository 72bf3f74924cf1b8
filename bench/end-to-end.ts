/** A topology against hand-written loops over the same log: both are handed the same orders, round by round. */
import type { Log, TopicPartition } from '#log'
import type { StreamsOptions } from '#runtime'
import type { Topology } from '#topology'
import { checksumOf, empty, foldOf } from './checksum.ts'
import { Engine } from './engine.ts'
import { Loop, type LoopBody } from './loop.ts'
import { orderBatches, type Order } from './orders.ts'
import { measure, type Side, type Work } from './rounds.ts'

const ENGINE = 'engine'

/** One program, written twice: as a topology, and as the body of a loop, maybe in several forms. */
export interface Program {
  readonly topology: (applicationId: string, input: string, output: string) => Topology
  readonly engine: Omit<StreamsOptions, 'log' | 'createTopics'>
  readonly loops: Readonly<Record<string, () => LoopBody>>
  readonly stores: readonly string[]
  /** What comes in a round; the first round is a warm-up. */
  readonly orders: (round: number) => Iterable<Order>
}

export function sideNames(program: Program): readonly string[] {
  return [ENGINE, ...Object.keys(program.loops)]
}

export async function sideOf(program: Program, log: Log, name: string): Promise<Side> {
  const places = await placesOf(log, name, program.stores)
  const { work, close } =
    name === ENGINE
      ? await engineWork(program, log, places)
      : await loopWork(program, log, places, name)
  return { name, round: (round) => measure(work, round), close }
}

/** What a side reads and writes. */
interface Places {
  readonly owner: string
  readonly input: TopicPartition
  readonly output: TopicPartition
  readonly changelogs: ReadonlyMap<string, TopicPartition>
}

interface OpenWork {
  readonly work: Work
  close(): Promise<void>
}

async function engineWork(program: Program, log: Log, places: Places): Promise<OpenWork> {
  const { owner, input, output } = places
  const topology = program.topology(owner, input.topic, output.topic)
  const engine = await Engine.start(topology, { ...program.engine, log })
  const feed = new Feed(program, log, input)
  let commits = 0
  const work: Work = {
    prepare: ({ number }) => feed.append(number),
    async run() {
      commits = engine.commits
      await engine.committed(input, feed.endOffset)
    },
    async check() {
      const commitRecords = Math.ceil(feed.count / (engine.commits - commits))
      return { checksum: await checkOf(log, places), commitRecords }
    },
  }
  return { work, close: () => engine.close() }
}

async function loopWork(
  program: Program,
  log: Log,
  places: Places,
  name: string,
): Promise<OpenWork> {
  const { owner, input, output, changelogs } = places
  const topics = [...changelogs.values()].map(({ topic }) => ({ topic, partitions: 1, config: {} }))
  await log.createTopics(topics)
  const body = program.loops[name]?.()
  if (body === undefined) throw new Error(`there is no side ${name}`)
  const loop = await Loop.start(log, { groupId: owner, input, output, changelogs, body })
  const feed = new Feed(program, log, input)
  const work: Work = {
    prepare: ({ number }) => feed.append(number),
    run: ({ commitRecords }) => loop.run(feed.endOffset, commitRecords ?? feed.count),
    check: async () => ({ checksum: await checkOf(log, places) }),
  }
  return { work, close: () => loop.close() }
}

/** Appends a side's orders of a round, all at once. */
class Feed {
  readonly #program: Program
  readonly #log: Log
  readonly #input: TopicPartition
  endOffset: number = 0
  count: number = 0

  constructor(program: Program, log: Log, input: TopicPartition) {
    this.#program = program
    this.#log = log
    this.#input = input
  }

  async append(round: number): Promise<void> {
    const { bytes, count } = orderBatches(this.#program.orders(round))
    const writer = await this.#log.writer()
    this.count = count
    this.endOffset += count
    await writer.append({ ...this.#input, bytes, count })
    await writer.close()
  }
}

async function placesOf(log: Log, owner: string, stores: readonly string[]): Promise<Places> {
  const place = (topic: string): TopicPartition => ({ topic, partition: 0 })
  const [input, output] = [place(`${owner}-input`), place(`${owner}-output`)]
  await log.createTopics([input, output].map(({ topic }) => ({ topic, partitions: 1, config: {} })))
  const changelogs = new Map(stores.map((store) => [store, place(`${owner}-${store}-changelog`)]))
  return { owner, input, output, changelogs }
}

async function checkOf(log: Log, { input, output, changelogs }: Places): Promise<string> {
  const sums = [await checksumOf(log, output)]
  for (const changelog of changelogs.values()) sums.push(await foldOf(log, changelog))
  for (const place of [input, output, ...changelogs.values()]) await empty(log, place)
  return Bun.hash.xxHash64(sums.join(' ')).toString(16)
}
