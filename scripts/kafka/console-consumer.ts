/**
 * Kafka's console consumer as a feed of records: what the topic holds by the judgement of Kafka's own code.
 *
 * Invariant: a feed that ends without an error gave every record that the tool says it has read.
 */
import { flags, startTool } from './java-tool.ts'
import type { ClientSettings, ToolProcess } from './java-tool.ts'

export interface ConsoleRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly key: string | null
  readonly value: string | null
  readonly headers: readonly (readonly [name: string, value: string | null])[]
}

export interface ConsoleConsumerOptions {
  readonly bootstrap: string
  readonly topic: string
  readonly isolation?: 'read_committed' | 'read_uncommitted'
  /** Ends after so many records. */
  readonly count?: number
  /** Ends when nothing has come for so long since the last record; 5 s by default. */
  readonly idleMs?: number
  /** The same before the first record, while Java starts; 30 s by default. */
  readonly firstWaitMs?: number
  /** Reads one partition from an offset, instead of all from their beginning. */
  readonly from?: { readonly partition: number; readonly offset: number }
  readonly settings?: ClientSettings
}

// Control characters, which neither JSON nor any of our keys hold. NULL stands for null, unlike the text "null".
const FIELD = '\u001f'
const LINE = '\u001e\n'
const HEADER = '\u001d'
const NULL = '\u001c'
const IDLE_MS = 5_000
const FIRST_WAIT_MS = 30_000

/** Reads a topic as its committed state is, until nothing more comes. */
export async function* consoleConsumer(
  options: ConsoleConsumerOptions,
): AsyncGenerator<ConsoleRecord, void, undefined> {
  const running = await startTool({
    tool: 'consumer.ConsoleConsumer',
    args: argumentsFor(options),
    settings: options.settings,
    heapMaxMb: 256,
  })
  let count = 0
  try {
    const decoder = new TextDecoder()
    let rest = ''
    for await (const chunk of untilIdle(running.child, options)) {
      rest += decoder.decode(chunk, { stream: true })
      const lines = rest.split(LINE)
      rest = lines.pop() ?? ''
      for (const line of lines) {
        count += 1
        yield parse(options.topic, line)
      }
    }
    const errors = await running.errors
    await running.child.exited
    // Told on an orderly end only, of which SIGTERM is one.
    const told = /Processed a total of (\d+) messages/.exec(errors)?.[1]
    if (told === undefined || /^(?:ERROR|FATAL) /m.test(errors))
      throw new Error(`the console consumer failed: ${errors.trim()}`)
    if (Number(told) !== count || rest !== '')
      throw new Error(`the console consumer read ${told} records of which ${count} came through`)
  } finally {
    await running.close()
  }
}

/** What the tool says; it is asked to end when it has been silent for too long. Time in which nobody listens does not count. */
async function* untilIdle(
  child: ToolProcess,
  { firstWaitMs = FIRST_WAIT_MS, idleMs = IDLE_MS }: ConsoleConsumerOptions,
): AsyncGenerator<Uint8Array> {
  const reader = child.stdout.getReader()
  for (let waitMs = firstWaitMs; ; waitMs = idleMs) {
    const timer = setTimeout(() => child.kill('SIGTERM'), waitMs)
    const { value, done } = await reader.read().finally(() => clearTimeout(timer))
    if (done) return
    yield value
  }
}

function argumentsFor(options: ConsoleConsumerOptions): string[] {
  const { bootstrap, topic, isolation = 'read_committed', count, from } = options
  const format = {
    'print.timestamp': true,
    'print.partition': true,
    'print.offset': true,
    'print.headers': true,
    'print.key': true,
    'key.separator': FIELD,
    'line.separator': LINE,
    'headers.separator': HEADER,
    'null.literal': NULL,
  }
  const place =
    from === undefined
      ? ['--from-beginning']
      : flags({ partition: from.partition, offset: from.offset })
  return [
    ...flags({ 'bootstrap-server': bootstrap, topic, 'isolation-level': isolation }),
    ...(count === undefined ? [] : flags({ 'max-messages': count })),
    ...place,
    ...Object.entries(format).flatMap(([name, value]) => [
      '--formatter-property',
      `${name}=${value}`,
    ]),
  ]
}

/** `CreateTime:1|Partition:0|Offset:5|h:v,i:w|key|value`, where `|` is FIELD and `,` is HEADER. */
function parse(topic: string, line: string): ConsoleRecord {
  const [time = '', partition = '', offset = '', headers = '', key = '', ...value] =
    line.split(FIELD)
  const text = (field: string): string | null => (field === NULL ? null : field)
  return {
    topic,
    partition: numberAfter('Partition:', partition),
    offset: numberAfter('Offset:', offset),
    timestamp: time === 'NO_TIMESTAMP' ? -1 : Number(time.slice(time.indexOf(':') + 1)),
    key: text(key),
    value: text(value.join(FIELD)),
    headers: headers === 'NO_HEADERS' ? [] : headers.split(HEADER).map(parseHeader),
  }
}

/** A header's name ends at its first colon. */
function parseHeader(text: string): readonly [name: string, value: string | null] {
  const at = text.indexOf(':')
  const value = text.slice(at + 1)
  return [text.slice(0, at), value === NULL ? null : value]
}

function numberAfter(label: string, field: string): number {
  if (!field.startsWith(label)) throw new Error(`not the console consumer's ${label} ${field}`)
  return Number(field.slice(label.length))
}
