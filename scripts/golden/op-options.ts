/**
 * Reads an op's fields: the options it stands for, its functions, and the types they give.
 *
 * Invariant: an option that the op does not name is left out, not given as undefined.
 */
import type { GroupedOption, MaterializedOption, StoreSettings, SuppressOptions } from '#topology'
import { extractor } from './extractors.ts'
import * as functions from './functions.ts'
import type { FunctionSpec, Op } from './scenario.ts'
import { serdeOf, type ValueType } from './values.ts'

type Any = unknown
export interface Types {
  readonly key: ValueType
  readonly value: ValueType
}

export function sourceTypes(op: Op): Types {
  return {
    key: (op['key'] as ValueType | undefined) ?? 'string',
    value: (op['value'] as ValueType | undefined) ?? 'string',
  }
}
export function named(op: Op): { readonly node?: string } {
  return op.name === undefined ? {} : { node: op.name }
}
export function timestamps(op: Op): { readonly timestamps?: ReturnType<typeof extractor> } {
  const spec = op['timestampExtractor'] as FunctionSpec | undefined
  return spec === undefined ? {} : { timestamps: extractor(spec) }
}

export function materialized(
  op: Op,
  { key, value }: Types,
): Pick<MaterializedOption<Any, Any>, 'materialized' | 'node'> {
  const spec = op['materialized'] as
    | {
        readonly name?: string
        readonly logging?: boolean
        readonly retentionMs?: number
        readonly storeType?: string
        readonly caching?: boolean
      }
    | undefined
  if (spec === undefined) return named(op)
  return {
    ...named(op),
    materialized: {
      ...(spec.name === undefined ? {} : { name: spec.name }),
      ...(spec.logging === undefined ? {} : { logged: spec.logging }),
      ...(spec.retentionMs === undefined ? {} : { retentionMs: spec.retentionMs }),
      ...(spec.caching === undefined ? {} : { caching: spec.caching }),
      backend: 'memory' as const,
      key: serdeOf(key),
      value: serdeOf(value),
    },
  }
}

export function groupedBy(op: Op, { key, value }: Types): GroupedOption<Any, Any> {
  const grouped = op['groupedName'] as string | undefined
  return {
    ...(grouped === undefined ? {} : { grouped }),
    key: serdeOf(key),
    value: serdeOf(value),
  }
}

export function suppressed(op: Op): SuppressOptions & StoreSettings & { readonly node?: string } {
  const limits = {
    ...named(op),
    ...(op['maxRecords'] === undefined ? {} : { recordsMax: op['maxRecords'] as number }),
    ...(op['maxBytes'] === undefined ? {} : { bytesMax: op['maxBytes'] as number }),
    ...(op['logging'] === undefined ? {} : { logged: op['logging'] as boolean }),
  }
  if (op['until'] === 'windowCloses') return { until: 'window-closes' as const, ...limits }
  const whenFull = op['whenFull'] === 'shutDown' ? ('shut-down' as const) : ('emit-early' as const)
  return { until: 'time-limit' as const, durationMs: op['ms'] as number, whenFull, ...limits }
}

export function aggregateType(op: Op, value: ValueType): ValueType {
  if (op.op === 'count') return 'long'
  if (op.op === 'reduce') return value
  const { type } = entry(functions.aggregators, op['aggregator'] as FunctionSpec)
  return type === 'same' ? (typeof op['initial'] === 'number' ? 'long' : 'string') : type
}

export function predicate(spec: FunctionSpec): (value: Any, key: Any) => boolean {
  return entry(functions.predicates, spec)(functions.specOf(spec))
}

interface Mapped {
  readonly fn: (value: Any, key: Any) => Any
  readonly type: (same: ValueType) => ValueType
}
export function keyFn(spec: unknown): Mapped {
  const { make, type } = entry(functions.keyFunctions, spec as FunctionSpec)
  const fn = make(functions.specOf(spec as FunctionSpec))
  return {
    fn,
    type: (same) => {
      // The one key function that gives back what is inside a windowed key.
      if ((spec as FunctionSpec).fn === 'unwindow' && typeof same === 'object') return same.windowed
      return functions.resultType(type, same)
    },
  }
}
export function valueFn(spec: unknown): Mapped {
  const found = functions.valueFunctions.get((spec as FunctionSpec).fn)
  if (found === undefined) throw new functions.ScenarioFailure('no such function')
  const { make, type } = found
  return {
    fn: make(functions.specOf(spec as FunctionSpec)),
    type: (same) => functions.resultType(type, same),
  }
}

export function entry<T>(table: Readonly<Record<string, T>>, { fn }: FunctionSpec): T {
  const found = Object.hasOwn(table, fn) ? table[fn] : undefined
  if (found === undefined) throw new functions.ScenarioFailure(`no function ${fn}`)
  return found
}
