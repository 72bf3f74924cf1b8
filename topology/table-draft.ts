/**
 * A table in the making: whether it is stored, and whether it tells old values, may still be decided by what comes below.
 *
 * Invariant: once something needs a table's store or its old values, it has them; nothing takes them away again (1.6).
 */
import type { Draft } from './draft.ts'
import { PREFIX, type Prefix } from './names.ts'
import type { AnySerde, OperatorNode, Predicate, ValueMapper } from './node.ts'
import { type CachedSettings, emitOf, suppressStore, tableStore } from './store-specs.ts'
import { TopologyError } from './topology.ts'

export interface TableFacts {
  readonly name: string
  readonly sources: readonly string[]
  readonly key: AnySerde
  readonly value: AnySerde
  /** Its store, if it may have one. */
  readonly store: string | undefined
  /** Stored from the start: it was named, or is an aggregate. A source that is not is stored when something asks. */
  readonly isKept: boolean
  /** Of its changes, where it is stored. */
  readonly emit?: 'per-commit' | undefined
  /** What it is computed from, where it can be read through. */
  readonly parent?: TableDraft
  /** Reads also what is above it: a buffer knows only what waits in it. */
  readonly isBuffer?: boolean
}

export interface SuppressSettings {
  readonly until: 'window-closes' | 'time-limit'
  readonly durationMs?: number | undefined
  readonly recordsMax?: number | undefined
  readonly bytesMax?: number | undefined
  readonly whenFull?: 'emit-early' | 'shut-down' | undefined
}

export class TableDraft {
  readonly draft: Draft
  readonly facts: TableFacts
  #isKept: boolean
  #sendsOldValues = false

  constructor(draft: Draft, facts: TableFacts) {
    this.draft = draft
    this.facts = facts
    this.#isKept = facts.isKept
  }

  /** Somebody reads values by key: returns the stores that answer. */
  read(): readonly string[] {
    const { store, parent, isBuffer } = this.facts
    if (isBuffer) return [...(store === undefined ? [] : [store]), ...(parent?.read() ?? [])]
    if (store === undefined) return parent?.read() ?? []
    this.#isKept = true
    return [store]
  }

  /** Somebody needs old values. Without `force` a source that is not stored is left so, and cannot tell. */
  sendOldValues(force: boolean): boolean {
    if (this.#sendsOldValues) return true
    const { store, parent, isBuffer } = this.facts
    if (parent !== undefined && (store === undefined || isBuffer)) {
      if (!parent.sendOldValues(force)) return false
    } else if (!this.#isKept && !force) {
      return false
    } else {
      this.#isKept = true
    }
    this.#sendsOldValues = true
    return true
  }

  get isKept(): boolean {
    return this.#isKept
  }

  /** What a node says of its store and its old values, once nothing more is added. */
  kept(): {
    readonly store: string | undefined
    readonly stores: readonly string[]
    readonly sendsOldValues: boolean
    readonly emit?: 'per-commit'
  } {
    const { store, emit } = this.facts
    const isKept = store !== undefined && this.#isKept
    return {
      store: isKept ? store : undefined,
      stores: isKept ? [store] : [],
      sendsOldValues: this.#sendsOldValues,
      ...(isKept && emit !== undefined && { emit }),
    }
  }

  /** Where old values are to be had without storing more, a filter takes them: it then knows which deletions tell nothing. */
  filter(predicate: Predicate, keep: boolean, settings: DerivedSettings): TableDraft {
    const body = { kind: 'table-filter', predicate, keep } as const
    const { value } = this.facts
    const table = this.#derive(PREFIX.tableFilter, value, settings, (common) => ({
      ...body,
      ...common,
    }))
    table.#sendsOldValues = this.sendOldValues(false)
    return table
  }

  mapValues(mapper: ValueMapper, settings: DerivedSettings): TableDraft {
    const value = settings.value ?? this.draft.options.value
    return this.#derive(PREFIX.tableMapValues, value, settings, (common) => ({
      kind: 'table-map-values',
      mapper,
      ...common,
    }))
  }

  #derive(
    prefix: Prefix,
    value: AnySerde,
    settings: DerivedSettings,
    body: (common: Derived) => OperatorNode,
  ): TableDraft {
    const { draft } = this
    // A store that was asked for without a name is not made, but uses up its number.
    if (settings.burnsStoreName) draft.names.store(prefix, undefined)
    const name = draft.names.node(prefix, settings.node)
    const parents = [this.facts.name]
    const { key, sources } = this.facts
    const isKept = settings.store !== undefined
    const table = new TableDraft(draft, {
      name,
      sources,
      key,
      value: settings.value ?? value,
      store: settings.store,
      isKept,
      emit: emitOf(draft, settings.settings ?? {}),
      parent: this,
    })
    if (settings.store !== undefined) {
      const types = { key, value: table.facts.value }
      draft.addStore(tableStore(draft, settings.store, types, settings.settings ?? {}), table)
    }
    draft.add({
      name,
      above: parents,
      build: () => body({ name, parents, ...table.kept() }),
    })
    return table
  }

  suppress(
    settings: SuppressSettings,
    { node, store, value = this.facts.value, settings: kept = {} }: DerivedSettings,
  ): TableDraft {
    const { draft } = this
    const { key, sources } = this.facts
    const { until, recordsMax, bytesMax, whenFull } = settings
    const durationMs = this.#suppressedForMs(settings)
    // Unlike other nodes, a named one does not use up a number.
    const name = node ?? draft.names.draw(PREFIX.suppress)
    const named = store ?? (node === undefined ? undefined : `${node}-store`)
    const spec = suppressStore(
      draft,
      draft.names.store(PREFIX.suppress, named),
      { key, value },
      kept,
    )
    // The buffer shows what was there before it began to hold a key back.
    this.sendOldValues(true)
    const parents = [this.facts.name]
    const table = new TableDraft(draft, {
      name,
      sources,
      key,
      value,
      store: spec.name,
      isKept: true,
      parent: this,
      isBuffer: true,
    })
    draft.addStore(spec, table)
    draft.add({
      name,
      above: parents,
      build: () => ({
        kind: 'suppress',
        name,
        parents,
        stores: [spec.name],
        store: spec.name,
        until,
        durationMs,
        recordsMax,
        bytesMax,
        whenFull: whenFull ?? (until === 'window-closes' ? 'shut-down' : 'emit-early'),
      }),
    })
    return table
  }

  #suppressedForMs({ until, durationMs = 0 }: SuppressSettings): number {
    if (until === 'time-limit') return durationMs
    const graceMs = this.draft.windowGraceAbove(this.facts.name)
    if (graceMs !== undefined) return graceMs
    throw new TopologyError(
      'WINDOW_REQUIRED',
      `${this.facts.name} has no windows: suppress until 'time-limit', or put it below a windowed table`,
    )
  }
}

/** What a derived table is asked to be. */
export interface DerivedSettings {
  readonly node?: string | undefined
  readonly store?: string | undefined
  readonly burnsStoreName?: boolean | undefined
  readonly value?: AnySerde | undefined
  readonly settings?: CachedSettings | undefined
}

interface Derived {
  readonly name: string
  readonly parents: readonly string[]
  readonly store: string | undefined
  readonly stores: readonly string[]
  readonly sendsOldValues: boolean
  readonly emit?: 'per-commit'
}
