/**
 * What an application tells about itself on the log, in the compacted topic `<application>-topology`: tools describe it, and
 * other applications know its inputs, without running its code.
 *
 * Invariant: the latest record of each key is what the application was when it last started.
 *
 *   key `topology` → Kafka Streams' text
 *   key `topics`   → {"inputs":["orders"],"outputs":["inventory-events"],"internal":["a-x-repartition"]}
 *   key `stores`   → [{"name":"x","kind":"key-value","key":"string","value":"json","changelog":"a-x-changelog"}]
 */
import { Buffer } from 'node:buffer'
import { NO_HEADERS, RecordBatchWriter, RecordCursor, type Log } from '#log'
import type { Clock } from '#system'
import { topicNameOnLog, type StoreSpec, type Topology } from '#topology'
import { changelogTopicOf, inputTopicsOf, topologyTopicOf } from './internal-names.ts'
import { outsideTopics } from './topics.ts'

export interface ApplicationTopics {
  /** Everything it commits offsets for, its own repartition topics included. */
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly internal: readonly string[]
}

const POLL_MS = 1_000
const BYTES_MAX = 1_048_576

export async function writeTopologyRecord(
  log: Log,
  topology: Topology,
  clock: Clock,
): Promise<void> {
  const records = {
    topology: topology.describe(),
    topics: JSON.stringify(topicsOf(topology)),
    stores: JSON.stringify(
      topology.subTopologies.flatMap(({ stores }) =>
        stores.map((spec) => describeStore(topology, spec)),
      ),
    ),
  }
  const batch = new RecordBatchWriter()
  for (const [key, text] of Object.entries(records)) {
    batch.add(clock.nowMs(), Buffer.from(key), Buffer.from(text), NO_HEADERS)
  }
  const writer = await log.writer()
  try {
    const topic = topologyTopicOf(topology.applicationId)
    const bytes = batch.finish()
    await writer.append({ topic, partition: 0, bytes, count: Object.keys(records).length })
  } finally {
    await writer.close()
  }
}

/** Undefined: no application of this id ever started on this log. */
export async function readApplicationTopics(
  log: Log,
  applicationId: string,
): Promise<ApplicationTopics | undefined> {
  const place = { topic: topologyTopicOf(applicationId), partition: 0 }
  if ((await log.describeTopics([place.topic])).length === 0) return undefined
  const end = await log.endOffset(place, 'read-committed')
  const reader = log.reader()
  let found: string | undefined
  try {
    reader.assign([{ ...place, position: await log.earliestOffset(place) }])
    const cursor = new RecordCursor()
    while ((reader.progress(place)?.position ?? 0) < end) {
      for (const batch of await reader.poll({ waitMs: POLL_MS, bytesMax: BYTES_MAX })) {
        cursor.open(batch.bytes, batch)
        while (cursor.next()) {
          const { buffer } = cursor
          const key = buffer.utf8Slice(Math.max(cursor.keyStart, 0), Math.max(cursor.keyEnd, 0))
          if (key === 'topics') found = buffer.utf8Slice(cursor.valueStart, cursor.valueEnd)
        }
      }
    }
  } finally {
    await reader.close()
  }
  return found === undefined ? undefined : parseTopics(found)
}

function topicsOf(topology: Topology): ApplicationTopics {
  const inputs = topology.subTopologies.flatMap((sub) => inputTopicsOf(topology, sub))
  return {
    inputs: [...new Set(inputs)],
    outputs: outsideTopics(topology).sinks,
    internal: topology.internalTopics.map(({ name }) => topicNameOnLog(topology, name)),
  }
}

function describeStore(topology: Topology, spec: StoreSpec): Readonly<Record<string, unknown>> {
  const { name, kind } = spec
  const serdes = 'key' in spec ? { key: spec.key.name, value: spec.value.name } : {}
  const changelog = spec.logged ? changelogTopicOf(topology, spec) : undefined
  return { name, kind, ...serdes, changelog }
}

function parseTopics(text: string): ApplicationTopics | undefined {
  const value: unknown = JSON.parse(text)
  if (typeof value !== 'object' || value === null) return undefined
  const list = (name: string): readonly string[] => {
    const found: unknown = Reflect.get(value, name)
    return Array.isArray(found) ? found.filter((topic) => typeof topic === 'string') : []
  }
  return { inputs: list('inputs'), outputs: list('outputs'), internal: list('internal') }
}
