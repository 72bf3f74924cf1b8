/**
 * A stream whose stores and topics must be named: the implementation of `KStream` and `Rekeyed`.
 *
 * Invariant: nothing is inserted that the program did not ask for by name.
 */
import type { EmitOption } from './dsl.ts'
import { GroupedDraft } from './grouped-draft.ts'
import { legalName, PREFIX } from './names.ts'
import type { AnySerde, Predicate, ValueMapper } from './node.ts'
import {
  classProcessor,
  isProcessorClass,
  type PairBody,
  pairProcessor,
  type ValueBody,
  valueProcessor,
} from './process-body.ts'
import { useStore } from './process-stores.ts'
import type { UserProcessor } from './processor.ts'
import type { RepartitionSettings } from './repartition-draft.ts'
import type { StoreSettings } from './store-specs.ts'
import type { StreamDraft } from './stream-draft.ts'
import { StreamFace } from './stream-face.ts'
import type { TableFace } from './table-face.ts'
import { TopologyError } from './topology.ts'
import type { StoreHandles } from './typed-store.ts'

type Joiner = (left: unknown, right: unknown, key: unknown) => unknown
type Repartition = RepartitionSettings & { readonly key?: AnySerde; readonly value?: AnySerde }

/** A number as a name would come before the others, whatever the program's order. */
const NUMBER = /^[0-9]+$/

export class NamedStream extends StreamFace {
  branch(branches: Readonly<Record<string, Predicate>>): Readonly<Record<string, object>> {
    const names = Object.keys(branches)
    for (const name of names) {
      if (!NUMBER.test(name)) continue
      throw new TopologyError('OPTION_INVALID', `branch "${name}": a name must not be a number`)
    }
    const predicates = Object.values(branches).map((predicate) => ({ predicate }))
    const split = this.draft.branch(predicates)
    const entries = split.branches.map(
      (draft, at) => [names[at], this.faces.stream(draft)] as const,
    )
    return Object.fromEntries(entries)
  }

  repartition(name: string, options: Repartition = {}): object {
    return this.faces.stream(repartitioned(this.draft, name, options))
  }

  processValues(name: string, stores: StoreHandles, body: ValueBody): object {
    return this.#process(PREFIX.processValues, name, stores, body, valueProcessor)
  }

  process(name: string, stores: StoreHandles, body: PairBody): object {
    return this.#process(PREFIX.process, name, stores, body, pairProcessor)
  }

  #process<Body>(
    prefix: typeof PREFIX.process | typeof PREFIX.processValues,
    name: string,
    stores: StoreHandles,
    body: Body,
    processorOf: (body: Body, stores: Readonly<Record<string, string>>) => () => UserProcessor,
  ): object {
    const draft = this.draft
    const names = Object.entries(stores).map(
      ([alias, store]) => [alias, useStore(draft.draft, store)] as const,
    )
    const byAlias = Object.fromEntries(names)
    const supplier = isProcessorClass(body)
      ? classProcessor(body, byAlias)
      : processorOf(body, byAlias)
    const used = names.map(([, store]) => store)
    return this.faces.stream(draft.process(prefix, legalName(name), supplier, used))
  }

  groupByKey(): object {
    return this.faces.grouped(new GroupedDraft(this.draft, undefined))
  }

  groupBy(name: string, mapper: ValueMapper, options: Repartition = {}): object {
    const rekeyed = this.draft.selectKey(mapper)
    return this.faces.grouped(new GroupedDraft(repartitioned(rekeyed, name, options), undefined))
  }

  toTable(
    store: string,
    options: StoreSettings & EmitOption & { readonly value?: AnySerde } = {},
  ): object {
    const { value, emit, ...settings } = options
    return this.faces.table(this.draft.toTable({ store, value, emit, settings }))
  }

  join(table: TableFace, joiner: Joiner): object {
    return this.joinTable(table.draft, joiner, false)
  }

  leftJoin(table: TableFace, joiner: Joiner): object {
    return this.joinTable(table.draft, joiner, true)
  }
}

function repartitioned(draft: StreamDraft, name: string, options: Repartition): StreamDraft {
  const { key = draft.facts.key, value = draft.facts.value, ...settings } = options
  return draft.with({ key, value }).repartition(legalName(name), settings)
}
