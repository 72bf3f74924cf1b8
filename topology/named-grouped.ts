/**
 * A grouped stream, with windows or without: the implementation of `KGroupedStream` and `TimeWindowedKStream`.
 *
 * Invariant: the table that comes out has the name that was given, and so has its store.
 */
import { count, reduce } from './adders.ts'
import type { WindowEmitOption } from './dsl.ts'
import type { Faces } from './faces.ts'
import type { AggregateSettings, GroupedDraft } from './grouped-draft.ts'
import { PREFIX } from './names.ts'
import type { Adder, AnySerde, TimeWindowsSpec } from './node.ts'
import { long } from './primitive-serdes.ts'
import type { Serde } from './serde.ts'
import type { StoreSettings } from './store-specs.ts'

type Options = StoreSettings & WindowEmitOption & { readonly value?: AnySerde }

export class NamedGrouped {
  readonly #draft: GroupedDraft
  readonly #faces: Faces
  readonly #windows: TimeWindowsSpec | undefined

  constructor(draft: GroupedDraft, faces: Faces, windows: TimeWindowsSpec | undefined) {
    this.#draft = draft
    this.#faces = faces
    this.#windows = windows
  }

  windowedBy(windows: TimeWindowsSpec): object {
    return this.#faces.grouped(this.#draft, windows)
  }

  count(store: string, options: Options = {}): object {
    const value: Serde<unknown> = long()
    return this.#table(PREFIX.aggregate, count, { store, ...settingsOf(options), value })
  }

  reduce(store: string, add: Adder['add'], options: Options = {}): object {
    const value = options.value ?? this.#draft.stream.valueSerde
    return this.#table(PREFIX.reduce, reduce(add), { store, ...settingsOf(options), value })
  }

  aggregate(
    store: string,
    initial: () => unknown,
    add: Adder['add'],
    options: Options = {},
  ): object {
    const value = options.value ?? this.#draft.stream.draft.options.value
    return this.#table(PREFIX.aggregate, { initial, add }, { store, ...settingsOf(options), value })
  }

  #table(
    prefix: typeof PREFIX.aggregate | typeof PREFIX.reduce,
    adder: Adder,
    settings: AggregateSettings,
  ): object {
    const windows = this.#windows
    return this.#faces.table(this.#draft.aggregate(prefix, adder, { ...settings, windows }))
  }
}

function settingsOf({
  emit,
  logged,
  backend,
  retentionMs,
}: Options): Pick<AggregateSettings, 'emit' | 'settings'> {
  return { emit, settings: { logged, backend, retentionMs } }
}
