/**
 * Kafka's console producer: records as Java's client writes, partitions and compresses them.
 *
 * Invariant: resolves once all records are acknowledged by all in-sync replicas.
 */
import { flags, runTool } from './java-tool.ts'
import type { ClientSettings } from './java-tool.ts'

export interface ProducedRecord {
  readonly key: string | null
  readonly value: string | null
  readonly headers?: readonly (readonly [name: string, value: string | null])[]
}

export interface ConsoleProducerOptions {
  readonly bootstrap: string
  readonly topic: string
  readonly records: Iterable<ProducedRecord>
  readonly compression?: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
  readonly settings?: ClientSettings
}

const FIELD = '\u001f'
const HEADERS_END = '\u001e'
const HEADER = '\u001d'
const NULL = '\u001c'

/** Keys, values and headers are text without line breaks: the tool reads lines. */
export async function consoleProducer(options: ConsoleProducerOptions): Promise<void> {
  const { bootstrap, topic, records, compression = 'none', settings } = options
  const format = {
    'parse.key': true,
    'parse.headers': true,
    'key.separator': FIELD,
    'headers.delimiter': HEADERS_END,
    'headers.separator': HEADER,
    'headers.key.separator': ':',
    'null.marker': NULL,
  }
  let lines = ''
  for (const record of records) lines += `${lineOf(record)}\n`
  await runTool({
    tool: 'ConsoleProducer',
    args: [
      ...flags({ 'bootstrap-server': bootstrap, topic, 'compression-codec': compression }),
      ...Object.entries(format).flatMap(([name, value]) => [
        '--reader-property',
        `${name}=${value}`,
      ]),
    ],
    settings,
    input: new Blob([lines]),
  })
}

function lineOf({ key, value, headers = [] }: ProducedRecord): string {
  const pairs = headers.map(([name, text]) => `${name}:${text ?? NULL}`)
  // No headers at all is said by the marker alone; an empty list would be one header without a name.
  const head = pairs.length === 0 ? NULL : pairs.join(HEADER)
  const line = `${head}${HEADERS_END}${key ?? NULL}${FIELD}${value ?? NULL}`
  if (line.includes('\n')) throw new Error(`the console producer takes no line breaks: ${line}`)
  return line
}
