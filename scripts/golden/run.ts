/**
 * Runs one scenario on the test driver and writes down, in the vectors' terms, everything that came out.
 *
 * Invariant: what a step caused is what had not been there before it.
 */
import { TopologyTestDriver, type ProducedRecord, type TestDriverOptions } from '#testing'
import type { Topology } from '#topology'
import type { Observed } from './compare.ts'
import { extractor } from './extractors.ts'
import { interpret, type Interpreted } from './interpret.ts'
import type { FunctionSpec, InputStep, OutputRecord, Scenario, StoreRow } from './scenario.ts'
import { fromJson, serdeOf, toHex, toJson, type ValueType } from './values.ts'

type Error = NonNullable<Observed['error']>
const NOTHING: Omit<Observed, 'error'> = {
  describe: undefined,
  internalTopicConfigs: {},
  outputs: {},
  changelogs: {},
  internalTopics: {},
  stores: {},
  graceOnClose: {},
  cachedRetention: {},
  droppedRecords: 0,
}

export async function run(scenario: Scenario): Promise<Observed> {
  let built: Interpreted
  try {
    built = interpret(scenario)
  } catch (error) {
    return { ...NOTHING, error: { phase: 'build', message: String(error) } }
  }
  const { topology } = built
  const driver = new TopologyTestDriver(topology, driverOptions(scenario))
  const recorder = new Recorder(driver, built)
  const error = await feed(driver, scenario, built, recorder)
  const observed = {
    ...recorder.observed(),
    describe: topology.describe(),
    internalTopicConfigs: configsOf(topology),
    stores: error === undefined && scenario.inputs.length > 0 ? storesOf(driver, topology) : {},
    graceOnClose: graceOnClose(topology),
    cachedRetention: cachedRetention(topology),
    droppedRecords: driver.droppedRecords,
    error,
  }
  if (error === undefined) await driver.close()
  return observed
}

async function feed(
  driver: TopologyTestDriver,
  { inputs }: Scenario,
  built: Interpreted,
  recorder: Recorder,
): Promise<Error | undefined> {
  for (const [step, input] of inputs.entries()) {
    try {
      await pipe(driver, input, built)
    } catch (error) {
      recorder.record(step)
      return { phase: 'run', step, message: String(error) }
    }
    recorder.record(step)
  }
  return undefined
}

const utf8 = new TextEncoder()
const fromUtf8 = new TextDecoder()

function pipe(driver: TopologyTestDriver, input: InputStep, built: Interpreted): Promise<void> {
  if ('advanceWallClockMs' in input) return driver.advanceWallClockTime(input.advanceWallClockMs)
  const types = built.sources.get(input.topic) ?? { key: 'string', value: 'string' }
  const bytes = (hex: string | undefined, value: unknown, type: ValueType): Uint8Array | null => {
    if (hex !== undefined) return Uint8Array.from(Buffer.from(hex, 'hex'))
    const given = fromJson(value, type)
    return given === null ? null : serdeOf(type).encode(given)
  }
  return driver.pipeBytes(input.topic, {
    key: bytes(input.keyHex, input.key, types.key),
    value: bytes(input.valueHex, input.value, types.value),
    // A log takes no time below −1, as Kafka's producer does not; extractors take all negative ones alike.
    timestampMs: Math.max(input.timestamp, -1),
    headers: (input.headers ?? []).map(
      ([name, value]) => [name, value === null ? null : utf8.encode(value)] as const,
    ),
  })
}

function driverOptions({ config = {} }: Scenario): TestDriverOptions {
  const chosen = config['timestampExtractor'] as FunctionSpec | undefined
  const timestamps = chosen === undefined ? undefined : extractor(chosen)
  return {
    initialWallClockMs: Number(config['initialWallClockMs'] ?? 0),
    onDecodeError: config['onDeserializationError'] === 'continue' ? 'skip' : 'stop',
    onProcessingError: config['onProcessingError'] === 'continue' ? 'skip' : 'stop',
    ...(timestamps === undefined ? {} : { timestampExtractor: applicationExtractor(timestamps) }),
  }
}

function applicationExtractor(
  timestamps: ReturnType<typeof extractor>,
): NonNullable<TestDriverOptions['timestampExtractor']> {
  if (typeof timestamps === 'object' && 'extract' in timestamps) return timestamps
  return { name: String(timestamps), extract: ({ timestampMs }) => timestampMs }
}

/** Sorts what was produced into outputs, changelogs and internal topics, each with the step that caused it. */
class Recorder {
  readonly #driver: TopologyTestDriver
  readonly #built: Interpreted
  readonly #seen = new Map<string, number>()
  readonly #records = new Map<string, OutputRecord[]>()

  constructor(driver: TopologyTestDriver, built: Interpreted) {
    this.#driver = driver
    this.#built = built
  }

  record(step: number): void {
    for (const topic of this.#driver.producedTopicNames()) {
      const produced = this.#driver.producedRecords(topic)
      const records = this.#records.get(topic) ?? []
      this.#records.set(topic, records)
      for (const record of produced.slice(this.#seen.get(topic) ?? 0))
        records.push(this.#shown(step, topic, record))
      this.#seen.set(topic, produced.length)
    }
  }

  #shown(
    step: number,
    topic: string,
    { key, value, timestampMs, headers }: ProducedRecord,
  ): OutputRecord {
    const types = this.#built.sinks.get(topic)
    const timestamp = timestampMs
    if (types === undefined)
      return {
        step,
        keyHex: toHex(key),
        valueHex: toHex(value),
        timestamp,
        headers: headers.map(([name, bytes]) => [name, toHex(bytes)] as const),
      }
    return {
      step,
      key: key === null ? null : toJson(serdeOf(types.key).decode(key)),
      value: value === null ? null : toJson(serdeOf(types.value).decode(value)),
      timestamp,
      headers: headers.map(
        ([name, bytes]) => [name, bytes === null ? null : fromUtf8.decode(bytes)] as const,
      ),
    }
  }

  observed(): Pick<Observed, 'outputs' | 'changelogs' | 'internalTopics'> {
    const outputs: Record<string, OutputRecord[]> = {}
    const changelogs: Record<string, OutputRecord[]> = {}
    const internalTopics: Record<string, OutputRecord[]> = {}
    for (const [topic, records] of this.#records) {
      if (this.#built.sinks.has(topic)) outputs[topic] = records
      else if (topic.endsWith('-changelog')) changelogs[topic] = records
      else if (topic.endsWith('-repartition')) internalTopics[topic] = records
    }
    return { outputs, changelogs, internalTopics }
  }
}

function configsOf(topology: Topology): Record<string, Record<string, string | number>> {
  const configs: Record<string, Record<string, string | number>> = {}
  for (const { name, partitions, config } of topology.internalTopics)
    configs[`${topology.applicationId}-${name}`] = {
      ...config,
      ...(partitions === undefined ? {} : { '(partitions)': partitions }),
    }
  return configs
}

function storesOf(driver: TopologyTestDriver, topology: Topology): Record<string, StoreRow[]> {
  const stores: Record<string, StoreRow[]> = {}
  for (const spec of topology.subTopologies.flatMap((sub) => sub.stores)) {
    if (spec.kind === 'key-value')
      stores[spec.name] = driver
        .getKeyValueStore(spec.name)
        .all()
        .map(({ key, value, timestampMs }) => {
          const row = { key: toJson(key), value: toJson(value) }
          return spec.timestamped ? { ...row, timestamp: timestampMs } : row
        })
    if (spec.kind === 'window')
      stores[spec.name] = sortedWindows(
        driver
          .getWindowStore(spec.name)
          .all()
          .map((entry) => ({
            bytes: Buffer.from(spec.key.encode(entry.key)),
            startMs: entry.windowStartMs,
            row: {
              key: { key: toJson(entry.key), start: entry.windowStartMs, end: entry.windowEndMs },
              value: toJson(entry.value),
              timestamp: entry.timestampMs,
            },
          })),
      )
  }
  return stores
}

function graceOnClose(topology: Topology): Record<string, number> {
  const graces: Record<string, number> = {}
  for (const node of topology.nodes)
    if (node.kind === 'window-aggregate' && node.emit === 'on-close')
      graces[node.store] = node.windows.graceMs
  return graces
}

function cachedRetention(topology: Topology): Record<string, number> {
  const retentions: Record<string, number> = {}
  for (const spec of topology.subTopologies.flatMap((sub) => sub.stores))
    if (spec.kind === 'window' && !spec.logEvery) retentions[spec.name] = spec.retentionMs
  return retentions
}

/** By key bytes, then start: the order of the vectors, whatever the store's own is. */
function sortedWindows(
  entries: readonly { readonly bytes: Buffer; readonly startMs: number; readonly row: StoreRow }[],
): StoreRow[] {
  const sorted = [...entries].sort(
    (a, b) => Buffer.compare(a.bytes, b.bytes) || a.startMs - b.startMs,
  )
  return sorted.map(({ row }) => row)
}
