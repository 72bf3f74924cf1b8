/**
 * Kafka's Java client as a process beside the tests: it produces and reads what the console tools cannot say, which is any bytes,
 * timestamps and transactions.
 *
 *     await using java = await startJavaClient(bootstrap)
 *     await java.produce({ topic, records, settings: { 'compression.type': 'lz4' } })
 *     await java.read({ topic })
 *
 * Invariant: a call resolves once Java has done all of it, with what the brokers answered.
 */
import { Buffer } from 'node:buffer'
import { join } from 'node:path'
import { javaCommand, kafkaJars } from './jars.ts'
import { TOOL_LOGGING } from './java-tool.ts'

export type JavaHeaders = readonly (readonly [name: string, value: Uint8Array | null])[]

export interface JavaRecord {
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers?: JavaHeaders
  readonly timestamp?: number
  /** Chosen by Java's partitioner unless given. */
  readonly partition?: number
}

export interface JavaPlace {
  readonly partition: number
  readonly offset: number
}

export type JavaReadRecord = Required<JavaRecord> & JavaPlace

export interface JavaProduceCall {
  readonly topic: string
  readonly records: readonly JavaRecord[]
  /** How a transaction ends; it needs a `transactional.id` among the settings. */
  readonly end?: 'commit' | 'abort'
  readonly settings?: Readonly<Record<string, string>>
}

export interface JavaClient extends AsyncDisposable {
  /** Where each record went. */
  produce(call: JavaProduceCall): Promise<readonly JavaPlace[]>
  /** All partitions, each to its end; read-committed unless the settings say otherwise. */
  read(call: {
    readonly topic: string
    readonly settings?: Readonly<Record<string, string>>
  }): Promise<readonly JavaReadRecord[]>
}

const SOURCE = join(import.meta.dir, 'JavaClient.java')

export async function startJavaClient(bootstrap: string): Promise<JavaClient> {
  // Java takes a source file in a class's place, and compiles it as it starts.
  const command = javaCommand(await kafkaJars(), SOURCE, [bootstrap], {
    heapMaxMb: 256,
    isShortRun: true,
    properties: { 'log4j2.configurationFile': TOOL_LOGGING },
  })
  const child = Bun.spawn(command, { stdin: 'pipe', stdout: 'pipe', stderr: 'inherit' })
  const answers = linesOf(child.stdout)
  let last: Promise<unknown> = Promise.resolve()
  /** One after the other: answers carry no names. */
  function ask(call: object): Promise<unknown> {
    const asked = last.then(async () => {
      child.stdin.write(`${JSON.stringify(call, asBase64)}\n`)
      await child.stdin.flush()
      const { value, done } = await answers.next()
      if (done === true) throw new Error(`Java's client has ended (${await child.exited})`)
      const answer: unknown = JSON.parse(value)
      if (Array.isArray(answer)) return answer
      throw new Error(`Java's client: ${value}`)
    })
    last = asked.catch(() => undefined)
    return asked
  }
  return {
    async produce(call) {
      return (await ask({ do: 'produce', ...call })) as readonly JavaPlace[]
    },
    async read({ topic, settings }) {
      const committed = { 'isolation.level': 'read_committed', ...settings }
      const found = await ask({ do: 'read', topic, settings: committed })
      return (found as readonly Base64Record[]).map(({ key, value, headers, ...rest }) => ({
        ...rest,
        key: bytesOf(key),
        value: bytesOf(value),
        headers: headers.map(([name, text]) => [name, bytesOf(text)] as const),
      }))
    },
    async [Symbol.asyncDispose]() {
      await child.stdin.end()
      await child.exited
    },
  }
}

type Base64Record = Omit<JavaReadRecord, 'key' | 'value' | 'headers'> & {
  readonly key: string | null
  readonly value: string | null
  readonly headers: readonly (readonly [name: string, value: string | null])[]
}

function bytesOf(text: string | null): Uint8Array | null {
  return text === null ? null : Buffer.from(text, 'base64')
}

/** A Buffer has become `{ type, data }` by the time it gets here. */
function asBase64(this: unknown, name: string, value: unknown): unknown {
  const original: unknown = Reflect.get(this as object, name)
  if (original instanceof Uint8Array) return Buffer.from(original).toString('base64')
  return value
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
}
