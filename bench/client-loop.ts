/**
 * The loop of `loop.ts` as somebody writes it on the client library's own `Consumer` and `Producer`: at least once, everything
 * kept in Maps, outputs and changelogs produced and offsets committed every 100 ms.
 */
import { Consumer, Producer, type MessageToProduce } from '@platformatic/kafka'
import type { Encodes } from '#log'
import { ByteWriter } from '#system'
import type { LoopAdds, LoopBody } from './loop.ts'

const COMMIT_MS = 100
/** The library makes one batch of what one call sends to a partition, however large. */
const SEND_RECORDS = 4_000
/** The clock is looked at once in so many records. */
const LOOK_RECORDS = 64

export interface ClientLoopOptions {
  readonly bootstrap: string
  readonly app: string
  readonly input: string
  readonly output: string
  readonly stores: readonly string[]
  readonly body: LoopBody
}

class Messages implements LoopAdds {
  readonly #topic: string
  readonly #messages: MessageToProduce[]
  /** Undefined: chosen by the key. */
  partition: number | undefined

  constructor(topic: string, messages: MessageToProduce[]) {
    this.#topic = topic
    this.#messages = messages
  }

  add<K, V>(timestampMs: number, key: K, keyAs: Encodes<K>, value: V, valueAs: Encodes<V>): void {
    this.#messages.push({
      topic: this.#topic,
      key: encoded(key, keyAs),
      value: encoded(value, valueAs),
      timestamp: BigInt(timestampMs),
      ...(this.partition !== undefined && { partition: this.partition }),
    })
  }
}

function encoded<T>(value: T, codec: Encodes<T>): Buffer {
  const target = new ByteWriter(64)
  codec.write(value, target)
  return target.buffer.subarray(0, target.length)
}

export class ClientLoop {
  readonly #options: ClientLoopOptions
  readonly #consumer: Consumer
  readonly #producer: Producer

  private constructor(options: ClientLoopOptions, consumer: Consumer, producer: Producer) {
    this.#options = options
    this.#consumer = consumer
    this.#producer = producer
  }

  static async start(options: ClientLoopOptions): Promise<ClientLoop> {
    const client = { clientId: options.app, bootstrapBrokers: options.bootstrap.split(',') }
    const consumer = new Consumer({ ...client, groupId: options.app })
    const producer = new Producer({ ...client, acks: -1 })
    return new ClientLoop(options, consumer, producer)
  }

  /** Reads and works until so many records are committed; answers how often it has committed. */
  async run(records: number): Promise<number> {
    const { app, input, output, stores, body } = this.#options
    const messages: MessageToProduce[] = []
    const outputs = new Messages(output, messages)
    const changelogs = new Map(
      stores.map((store) => [store, new Messages(`${app}-${store}-changelog`, messages)]),
    )
    const positions = new Map<number, { readonly offset: bigint; readonly leaderEpoch: number }>()
    const stream = await this.#consumer.consume({
      topics: [input],
      mode: 'earliest',
      autocommit: false,
      maxWaitTime: COMMIT_MS,
    })
    let taken = 0
    let commits = 0
    let committedMs = performance.now()
    for await (const { key, value, timestamp, partition, offset, leaderEpoch } of stream) {
      outputs.partition = partition
      body.record(key.toString(), JSON.parse(value.toString()), Number(timestamp), outputs)
      positions.set(partition, { offset, leaderEpoch })
      taken += 1
      const looks = taken % LOOK_RECORDS === 0 || taken === records
      if (!looks || (performance.now() - committedMs < COMMIT_MS && taken < records)) continue
      body.changelog((store) => changelogs.get(store) ?? outputs)
      while (messages.length > 0) {
        await this.#producer.send({ messages: messages.splice(0, SEND_RECORDS) })
      }
      await this.#consumer.commit({
        offsets: [...positions].map(([at, place]) => ({
          topic: input,
          partition: at,
          offset: place.offset + 1n,
          leaderEpoch: place.leaderEpoch,
        })),
      })
      commits += 1
      committedMs = performance.now()
      if (taken === records) break
    }
    return commits
  }
}
