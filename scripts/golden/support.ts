/**
 * Which scenarios this build can run: computed from the names of ops, fields, functions and settings, never of scenarios.
 *
 * Invariant: a reason is the name of what is missing.
 */
import { processors } from './processors.ts'
import type { FunctionSpec, Op, Scenario } from './scenario.ts'
import {
  aggregators,
  flatMapFunctions,
  flatMapValuesFunctions,
  joiners,
  keyFunctions,
  predicates,
  reducers,
  valueFunctions,
} from './functions.ts'

/** Fields that an op may have, besides `op`, `id`, `from` and `name`. */
const OPS: Readonly<Record<string, readonly string[]>> = {
  stream: ['topic', 'topics', 'key', 'value', 'timestampExtractor'],
  table: ['topic', 'key', 'value', 'timestampExtractor', 'materialized'],
  filter: ['predicate', 'materialized'],
  filterNot: ['predicate', 'materialized'],
  map: ['key', 'value'],
  mapValues: ['mapper', 'materialized'],
  selectKey: ['key'],
  flatMap: ['mapper'],
  flatMapValues: ['mapper'],
  peek: [],
  foreach: [],
  merge: ['other'],
  split: ['branches', 'default'],
  repartition: ['partitions'],
  to: ['topic', 'topicFrom', 'topics'],
  toTable: ['materialized'],
  toStream: ['key'],
  groupByKey: ['groupedName'],
  groupBy: ['key', 'groupedName'],
  windowedBy: ['window'],
  emitStrategy: ['strategy'],
  count: ['materialized'],
  reduce: ['reducer', 'materialized'],
  aggregate: ['initial', 'aggregator', 'materialized'],
  suppress: ['until', 'ms', 'maxRecords', 'maxBytes', 'whenFull', 'logging'],
  join: ['type', 'left', 'right', 'joiner'],
  process: ['processor', 'store', 'storeType', 'logging', 'storeVia', 'existingStore', 'caching'],
  processValues: [
    'processor',
    'store',
    'storeType',
    'logging',
    'storeVia',
    'existingStore',
    'caching',
  ],
  addStateStore: ['store', 'storeType', 'value'],
}
const ALWAYS = ['op', 'id', 'from', 'name']
const MATERIALIZED = ['name', 'logging', 'retentionMs', 'storeType', 'caching']
const WINDOWS = ['tumbling', 'hopping']
const SETTINGS = [
  'explicitNaming',
  'initialWallClockMs',
  'timestampExtractor',
  'onDeserializationError',
  'onProcessingError',
]
/** Kafka Streams' cache is bounded in bytes, ours in keys: only a bound that nothing reaches is the same. */
const CACHE_BYTES_LEAST = 100_000
const EXTRACTORS = [
  'failOnInvalid',
  'logAndSkip',
  'usePartitionTime',
  'shift',
  'partitionTime',
  'valueAsTimestamp',
]

/** Ops whose result is a table. */
const TABLES = ['table', 'toTable', 'count', 'reduce', 'aggregate']
const KEEPS_KIND = ['filter', 'filterNot', 'mapValues', 'suppress']

/** What is missing to run it; empty if nothing is. */
export function missingFor(scenario: Scenario): readonly string[] {
  const missing = new Set<string>()
  for (const [setting, value] of Object.entries(scenario.config ?? {})) {
    const isOff =
      (setting === 'cacheMaxBytes' && (value === 0 || Number(value) >= CACHE_BYTES_LEAST)) ||
      (setting === 'emitIntervalMs' && value === 0) ||
      (setting === 'optimization' && value === 'none')
    if (!isOff && !SETTINGS.includes(setting)) missing.add(`config ${setting}`)
  }
  const tables = new Set<string>()
  for (const op of scenario.topology) {
    inspect(op, tables, missing)
    const isTable =
      TABLES.includes(op.op) || (KEEPS_KIND.includes(op.op) && tables.has(op.from ?? ''))
    if (isTable && op.id !== undefined) tables.add(op.id)
  }
  return [...missing]
}

function inspect(op: Op, tables: ReadonlySet<string>, missing: Set<string>): void {
  const fields = OPS[op.op]
  if (fields === undefined) {
    missing.add(`op ${op.op}`)
    return
  }
  for (const field of Object.keys(op))
    if (!ALWAYS.includes(field) && !fields.includes(field)) missing.add(`${op.op}.${field}`)
  for (const field of Object.keys((op['materialized'] as object | undefined) ?? {}))
    if (!MATERIALIZED.includes(field)) missing.add(`materialized.${field}`)
  const window = op['window'] as { readonly type?: string } | undefined
  if (window !== undefined && !WINDOWS.includes(window.type ?? ''))
    missing.add(`window ${window.type}`)
  if (op.op === 'groupBy' && tables.has(op.from ?? '')) missing.add('groupBy on a table')
  if (op.op === 'join') {
    const [left, right] = [tables.has(String(op['left'])), tables.has(String(op['right']))]
    if (left || !right) missing.add(left ? 'join of two tables' : 'join of two streams')
  }
  for (const [field, known] of Object.entries(functionTables(op))) {
    const name = (op[field] as FunctionSpec | undefined)?.fn
    if (name !== undefined && !known.includes(name)) missing.add(`function ${name}`)
  }
}

function functionTables(op: Op): Readonly<Record<string, readonly string[]>> {
  const names = (table: object): readonly string[] => Object.keys(table)
  const mapper =
    op.op === 'flatMap'
      ? names(flatMapFunctions)
      : op.op === 'flatMapValues'
        ? names(flatMapValuesFunctions)
        : [...valueFunctions.keys()]
  return {
    predicate: names(predicates),
    mapper,
    joiner: names(joiners),
    aggregator: names(aggregators),
    reducer: names(reducers),
    processor: names(processors),
    topicFrom: names(keyFunctions),
    timestampExtractor: EXTRACTORS,
    ...(op.op === 'stream' || op.op === 'table' ? {} : { key: names(keyFunctions) }),
    ...(op.op === 'map' ? { value: [...valueFunctions.keys()] } : {}),
  }
}
