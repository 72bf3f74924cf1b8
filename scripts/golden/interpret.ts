/**
 * Builds a scenario's topology through the public face with generated names, op by op, in their order.
 *
 * Invariant: the type of every key and value is inferred as the vectors say, so that serdes are always the right ones.
 */
import {
  StreamsBuilder,
  hopping,
  store,
  topic,
  tumbling,
  type GeneratedKGroupedStream,
  type GeneratedKStream,
  type GeneratedKTable,
  type GeneratedStreamsBuilder,
  type StoreDeclaration,
  type Topic,
  type Topology,
} from '#topology'
import * as functions from './functions.ts'
import {
  aggregateType,
  entry,
  groupedBy,
  keyFn,
  materialized,
  named,
  predicate,
  sourceTypes,
  suppressed,
  timestamps,
  valueFn,
  type Types,
} from './op-options.ts'
import { needsRange, processors, storeValueType } from './processors.ts'
import type { FunctionSpec, Op, Scenario } from './scenario.ts'
import { fromJson, serdeOf, type ValueType } from './values.ts'

type Any = unknown
type Stream = GeneratedKStream<Any, Any>
type Table = GeneratedKTable<Any, Any>
type Built = Types &
  (
    | { readonly kind: 'stream'; readonly stream: Stream }
    | { readonly kind: 'table'; readonly table: Table }
    | {
        readonly kind: 'grouped'
        readonly grouped: GeneratedKGroupedStream<Any, Any>
        readonly windows?: Windows
      }
  )
interface Windows {
  readonly sizeMs: number
  readonly advanceMs?: number
  readonly graceMs: number
  readonly emit?: 'on-close'
}

export interface Interpreted {
  readonly topology: Topology
  /** Types of the topics that inputs come from and outputs go to, by name. */
  readonly sources: ReadonlyMap<string, Types>
  readonly sinks: ReadonlyMap<string, Types>
}

export function interpret(scenario: Scenario): Interpreted {
  const interpreter = new Interpreter(scenario)
  for (const op of scenario.topology) interpreter.add(op)
  const { sources, sinks } = interpreter
  return { topology: interpreter.builder.build(), sources, sinks }
}

class Interpreter {
  readonly builder: GeneratedStreamsBuilder
  readonly sources = new Map<string, Types>()
  readonly sinks = new Map<string, Types>()
  readonly #built = new Map<string, Built>()
  /** Stores that keep no time: those made for processors. */
  readonly #plainStores = new Set<string>()

  constructor({ config = {} }: Scenario) {
    this.builder = new StreamsBuilder('app', {
      names: 'generated',
      compatibility: 'kafka-streams',
      ensureExplicitNames: config['explicitNaming'] === true,
      caching: Number(config['cacheMaxBytes'] ?? 0) > 0,
      key: serdeOf('string'),
      value: serdeOf('string'),
    })
  }

  add(op: Op): void {
    switch (op.op) {
      case 'stream':
        return this.#stream(op)
      case 'table':
        return this.#table(op)
      case 'split':
        return this.#split(op)
      case 'join':
        return this.#join(op)
      case 'addStateStore':
        return this.builder.addStateStore(this.#declare(op, op['value'] as ValueType | undefined))
      default: {
        const from = this.#from(op.from)
        if (from.kind === 'stream') this.#onStream(op, from, from.stream)
        else if (from.kind === 'table') this.#onTable(op, from, from.table)
        else this.#onGrouped(op, from)
      }
    }
  }

  #stream(op: Op): void {
    const types = sourceTypes(op)
    const names = (op['topics'] as readonly string[] | undefined) ?? [op['topic'] as string]
    const topics = names.map((name) => this.#source(name, types))
    const options = { ...named(op), ...timestamps(op) }
    this.#keep(op.id, { kind: 'stream', stream: this.builder.stream(topics, options), ...types })
  }

  #table(op: Op): void {
    const types = sourceTypes(op)
    const source = this.#source(op['topic'] as string, types)
    const options = { ...materialized(op, types), ...timestamps(op) }
    this.#keep(op.id, { kind: 'table', table: this.builder.table(source, options), ...types })
  }

  #split(op: Op): void {
    const from = this.#from(op.from)
    if (from.kind !== 'stream') throw new functions.ScenarioFailure('split takes a stream')
    type Branch = { readonly id: string; readonly name?: string; readonly predicate: FunctionSpec }
    const branches = op['branches'] as readonly Branch[]
    const rest = op['default'] as { readonly id: string; readonly name?: string } | undefined
    const result = from.stream.branch(
      branches.map(({ predicate: spec, name }) => ({
        predicate: predicate(spec),
        ...(name === undefined ? {} : { suffix: name }),
      })),
      {
        ...named(op),
        ...(rest === undefined
          ? {}
          : { default: rest.name === undefined ? {} : { suffix: rest.name } }),
      },
    )
    const { key, value } = from
    for (const [index, { id }] of branches.entries()) {
      const stream = result.branches[index]
      if (stream !== undefined) this.#keep(id, { kind: 'stream', stream, key, value })
    }
    if (rest !== undefined && result.rest !== undefined)
      this.#keep(rest.id, { kind: 'stream', stream: result.rest, key, value })
  }

  #join(op: Op): void {
    const [left, right] = [this.#from(op['left'] as string), this.#from(op['right'] as string)]
    if (left.kind !== 'stream' || right.kind !== 'table')
      throw new functions.ScenarioFailure('only a stream joins a table here')
    const { join, type } = entry(functions.joiners, op['joiner'] as FunctionSpec)
    const options = { ...named(op), key: serdeOf(left.key), value: serdeOf(left.value) }
    const method = op['type'] === 'left' ? 'leftJoin' : 'join'
    const stream = left.stream[method](right.table, join, options)
    this.#keep(op.id, { kind: 'stream', stream, key: left.key, value: type })
  }

  #onStream(op: Op, { key, value }: Types, stream: Stream): void {
    const keep = (made: Stream, types: Partial<Types> = {}): void =>
      this.#keep(op.id, { kind: 'stream', stream: made, key, value, ...types })
    const options = named(op)
    switch (op.op) {
      case 'filter':
      case 'filterNot':
        return keep(stream[op.op](predicate(op['predicate'] as FunctionSpec), options))
      case 'map': {
        const [toKey, toValue] = [keyFn(op['key']), valueFn(op['value'])]
        const made = stream.map((v, k) => [toKey.fn(v, k), toValue.fn(v, k)] as const, options)
        return keep(made, { key: toKey.type(key), value: toValue.type(value) })
      }
      case 'mapValues': {
        const mapper = valueFn(op['mapper'])
        return keep(stream.mapValues(mapper.fn, options), { value: mapper.type(value) })
      }
      case 'selectKey': {
        const mapper = keyFn(op['key'])
        return keep(stream.selectKey(mapper.fn, options), { key: mapper.type(key) })
      }
      case 'flatMap': {
        const spec = op['mapper'] as FunctionSpec
        const mapper = entry(functions.flatMapFunctions, spec)(functions.specOf(spec))
        return keep(stream.flatMap(mapper, options), { key: 'string', value: 'string' })
      }
      case 'flatMapValues': {
        const spec = op['mapper'] as FunctionSpec
        const { make, type } = entry(functions.flatMapValuesFunctions, spec)
        const made = stream.flatMapValues(make(functions.specOf(spec)), options)
        return keep(made, { value: functions.resultType(type, value) })
      }
      case 'peek':
        return keep(stream.peek(() => {}, options))
      case 'foreach':
        return stream.forEach(() => {}, options)
      case 'merge': {
        const other = this.#from(op['other'] as string)
        if (other.kind !== 'stream') throw new functions.ScenarioFailure('merge takes streams')
        return keep(stream.merge(other.stream, options))
      }
      case 'repartition': {
        const partitions = op['partitions'] as number | undefined
        return keep(
          stream.repartition({
            ...(op.name === undefined ? {} : { name: op.name }),
            ...(partitions === undefined ? {} : { partitions }),
            key: serdeOf(key),
            value: serdeOf(value),
          }),
        )
      }
      case 'to':
        return this.#to(op, { key, value }, stream)
      case 'toTable': {
        const table = stream.toTable(materialized(op, { key, value }))
        return this.#keep(op.id, { kind: 'table', table, key, value })
      }
      case 'groupByKey': {
        const grouped = stream.groupByKey(groupedBy(op, { key, value }))
        return this.#keep(op.id, { kind: 'grouped', grouped, key, value })
      }
      case 'groupBy': {
        const mapper = keyFn(op['key'])
        const types = { key: mapper.type(key), value }
        const grouped = stream.groupBy(mapper.fn, groupedBy(op, types))
        return this.#keep(op.id, { kind: 'grouped', grouped, ...types })
      }
      case 'process':
      case 'processValues':
        return this.#process(op, op.op, { key, value }, stream)
      default:
        throw new functions.ScenarioFailure(`a stream has no ${op.op}`)
    }
  }

  #to(op: Op, types: Types, stream: Stream): void {
    const choose = op['topicFrom'] as FunctionSpec | undefined
    if (choose === undefined) return stream.to(this.#sink(op['topic'] as string, types), named(op))
    const topics = new Map(
      (op['topics'] as readonly string[]).map((name) => [name, this.#sink(name, types)] as const),
    )
    const name = keyFn(choose)
    const topicFrom = (value: Any, key: Any): Topic<Any, Any> => {
      const found = topics.get(String(name.fn(value, key)))
      if (found === undefined) throw new functions.ScenarioFailure('no such topic')
      return found
    }
    stream.to(topicFrom, { ...named(op), topics: [...topics.values()] })
  }

  #process(op: Op, method: 'process' | 'processValues', types: Types, stream: Stream): void {
    const spec = op['processor'] as FunctionSpec
    const recipe = entry(processors, spec)
    const name = (op['store'] as string | undefined) ?? ''
    const isNew = name !== '' && op['existingStore'] !== true
    const declared = isNew ? this.#declare(op, storeValueType(spec.fn)) : name
    const timed = !this.#plainStores.has(name)
    const supplier = () => recipe.make(spec, name, timed)
    const options = { ...named(op), ...(name === '' ? {} : { stores: [declared] }) }
    const made =
      method === 'process'
        ? stream.process(supplier, options)
        : stream.processValues(supplier, options)
    const key = recipe.key === 'same' ? types.key : recipe.key
    const value = recipe.value === 'same' ? types.value : recipe.value
    this.#keep(op.id, { kind: 'stream', stream: made, key, value })
  }

  #onTable(op: Op, types: Types, table: Table): void {
    const { key, value } = types
    switch (op.op) {
      case 'filter':
      case 'filterNot': {
        const made = table[op.op](
          predicate(op['predicate'] as FunctionSpec),
          materialized(op, types),
        )
        return this.#keep(op.id, { kind: 'table', table: made, key, value })
      }
      case 'mapValues': {
        const mapper = valueFn(op['mapper'])
        const mapped = { key, value: mapper.type(value) }
        const made = table.mapValues(mapper.fn, materialized(op, mapped))
        return this.#keep(op.id, { kind: 'table', table: made, ...mapped })
      }
      case 'toStream': {
        if (op['key'] === undefined)
          return this.#keep(op.id, {
            kind: 'stream',
            stream: table.toStream(named(op)),
            key,
            value,
          })
        const mapper = keyFn(op['key'])
        const stream = table.toStream({ ...named(op), key: mapper.fn })
        return this.#keep(op.id, { kind: 'stream', stream, key: mapper.type(key), value })
      }
      case 'suppress':
        return this.#keep(op.id, {
          kind: 'table',
          table: table.suppress(suppressed(op)),
          key,
          value,
        })
      default:
        throw new functions.ScenarioFailure(`a table has no ${op.op}`)
    }
  }

  #onGrouped(op: Op, from: Extract<Built, { kind: 'grouped' }>): void {
    const { windows } = from
    if (op.op === 'windowedBy') {
      return this.#keep(op.id, { ...from, windows: op['window'] as Windows })
    }
    if (op.op === 'emitStrategy') {
      if (windows === undefined) throw new functions.ScenarioFailure('emitStrategy needs windows')
      const isOnClose = op['strategy'] === 'onWindowClose'
      return this.#keep(op.id, {
        ...from,
        windows: { ...windows, ...(isOnClose && { emit: 'on-close' as const }) },
      })
    }
    const value = aggregateType(op, from.value)
    const key = windows === undefined ? from.key : { windowed: from.key, sizeMs: windows.sizeMs }
    const options = {
      ...materialized(op, { key: from.key, value }),
      ...(windows?.emit && { emit: windows.emit }),
    }
    this.#keep(op.id, { kind: 'table', table: aggregateOn(op, from, value, options), key, value })
  }

  #declare(op: Op, value: ValueType = 'string'): StoreDeclaration<Any, Any> {
    const name = op['store'] as string
    this.#plainStores.add(name)
    const processor = op['processor'] as FunctionSpec | undefined
    return store(name, {
      key: serdeOf('string'),
      value: serdeOf(value),
      ordered: processor === undefined || needsRange(processor.fn),
      logged: op['logging'] !== false,
      backend: 'memory',
      caching: op['caching'] === true,
    })
  }

  #source(name: string, types: Types): Topic<Any, Any> {
    this.sources.set(name, types)
    return topic(name, { key: serdeOf(types.key), value: serdeOf(types.value) })
  }
  #sink(name: string, types: Types): Topic<Any, Any> {
    this.sinks.set(name, types)
    return topic(name, { key: serdeOf(types.key), value: serdeOf(types.value) })
  }
  #keep(id: string | undefined, built: Built): void {
    if (id !== undefined) this.#built.set(id, built)
  }
  #from(id: string | undefined): Built {
    const built = this.#built.get(id ?? '')
    if (built === undefined) throw new functions.ScenarioFailure(`nothing is called ${id}`)
    return built
  }
}

function aggregateOn(
  op: Op,
  { grouped, windows }: Extract<Built, { kind: 'grouped' }>,
  value: ValueType,
  options: ReturnType<typeof materialized> & Pick<Windows, 'emit'>,
): Table {
  const on =
    windows === undefined
      ? grouped
      : grouped.windowedBy(
          windows.advanceMs === undefined
            ? tumbling(windows)
            : hopping({ ...windows, advanceMs: windows.advanceMs }),
        )
  if (op.op === 'count') return on.count(options as object) as Table
  if (op.op === 'reduce') {
    const spec = op['reducer'] as FunctionSpec
    return on.reduce(entry(functions.reducers, spec)(functions.specOf(spec)), options) as Table
  }
  const spec = op['aggregator'] as FunctionSpec
  const add = entry(functions.aggregators, spec).make(functions.specOf(spec))
  const initial = fromJson(op['initial'], value)
  return on.aggregate(() => initial, add, options) as Table
}
