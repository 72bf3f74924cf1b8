/**
 * A table whose stores must be named: the implementation of `KTable` and `StoredKTable`.
 *
 * Invariant: a derived table is stored if and only if the program gave it a name.
 */
import type { SuppressOptions } from './dsl.ts'
import type { AnySerde, Predicate, ValueMapper } from './node.ts'
import type { StoreSettings } from './store-specs.ts'
import { streamOf } from './stream-draft.ts'
import { TableFace } from './table-face.ts'

type Options = StoreSettings & { readonly value?: AnySerde }

export class NamedTable extends TableFace {
  filter(...call: readonly [Predicate] | readonly [string, Predicate, Options?]): object {
    return this.#filter(call, true)
  }

  filterNot(...call: readonly [Predicate] | readonly [string, Predicate, Options?]): object {
    return this.#filter(call, false)
  }

  #filter(
    call: readonly [Predicate] | readonly [string, Predicate, Options?],
    keep: boolean,
  ): object {
    const [store, predicate, options = {}] = named(call)
    const { value, ...settings } = options
    return this.faces.table(this.draft.filter(predicate, keep, { store, value, settings }))
  }

  mapValues(...call: readonly [ValueMapper] | readonly [string, ValueMapper, Options?]): object {
    const [store, mapper, options = {}] = named(call)
    const { value, ...settings } = options
    return this.faces.table(this.draft.mapValues(mapper, { store, value, settings }))
  }

  toStream(): object {
    return this.faces.stream(streamOf(this.draft))
  }

  suppress(store: string, options: SuppressOptions & { readonly value?: AnySerde }): object {
    return this.faces.table(this.draft.suppress(options, { store, value: options.value }))
  }
}

/** A call with its store's name first, or without one. */
function named<F, O>(
  call: readonly [F] | readonly [string, F, O?],
): readonly [store: string | undefined, f: F, options: O | undefined] {
  if (call.length === 1) return [undefined, call[0], undefined]
  const [store, f, options] = call
  return [store, f, options]
}
