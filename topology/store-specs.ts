/**
 * The stores that operators own: layout, backend, and the settings of their changelogs as Kafka Streams makes them (1.6, 3.4).
 *
 * Invariant: what a store's serdes read was checked when it entered, so they are the trusted ones.
 */
import type { Draft } from './draft.ts'
import type { AnySerde, StoreSpec, TimeWindowsSpec } from './node.ts'
import { TopologyError } from './topology.ts'
import type { StoreDeclaration } from './typed-store.ts'
import { wholeNumber } from './whole-number.ts'

/** What an operator says about the store it owns. */
export interface StoreSettings {
  /** False: no changelog. */
  readonly logged?: boolean | undefined
  readonly backend?: 'level' | 'sqlite' | 'memory' | undefined
  /** Windowed stores: how long windows are kept; at least size plus grace, which is the default. */
  readonly retentionMs?: number | undefined
}

/** With what Kafka Streams says of its record cache. */
export interface CachedSettings extends StoreSettings {
  /** False: its changes go on one by one, whatever the builder says. */
  readonly caching?: boolean | undefined
}

/** How a stored table forwards its changes where the program does not say. */
export function emitOf(draft: Draft, { caching }: CachedSettings): 'per-commit' | undefined {
  return draft.options.caching && caching !== false ? 'per-commit' : undefined
}

interface Typed {
  readonly key: AnySerde
  readonly value: AnySerde
}

const DAY_MS = 86_400_000
const COMPACT: Readonly<Record<string, string>> = {
  'cleanup.policy': 'compact',
  'message.timestamp.type': 'CreateTime',
}

/**
 * Kafka Streams deletes by record time, which is event time, against the wall clock of the log: in a catch-up by more than
 * the retention, what is still live would be deleted, and the task would come back without it.
 */
function windowedChangelog(draft: Draft, retentionMs: number): Readonly<Record<string, string>> {
  if (draft.options.compatibility !== 'kafka-streams') return COMPACT
  return {
    'cleanup.policy': 'compact,delete',
    'message.timestamp.type': 'CreateTime',
    'retention.ms': String(retentionMs + DAY_MS),
  }
}

/** Kafka Streams without its record cache logs every put. */
function common(
  draft: Draft,
  name: string,
  { logged = true, backend = 'level' }: StoreSettings,
  isCached: boolean = false,
): Pick<StoreSpec, 'name' | 'logged' | 'logEvery' | 'backend' | 'ordered'> {
  const logEvery = draft.options.compatibility === 'kafka-streams' && !isCached
  return { name, logged, logEvery, backend, ordered: false }
}

export function tableStore(
  draft: Draft,
  name: string,
  { key, value }: Typed,
  settings: CachedSettings,
): StoreSpec {
  return {
    kind: 'key-value',
    ...common(draft, name, settings, emitOf(draft, settings) !== undefined),
    changelogConfig: COMPACT,
    key: key.trusted,
    value: value.trusted,
    timestamped: true,
  }
}

export function windowStore(
  draft: Draft,
  name: string,
  { key, value }: Typed,
  windows: TimeWindowsSpec,
  onClose: boolean,
  settings: CachedSettings,
): StoreSpec {
  const least = windows.sizeMs + windows.graceMs
  const { retentionMs = least } = settings
  wholeNumber(`retentionMs of ${name} (window size plus grace)`, retentionMs, least)
  return {
    kind: 'window',
    ...common(draft, name, settings, emitOf(draft, settings) !== undefined),
    changelogConfig: windowedChangelog(draft, retentionMs),
    key: key.trusted,
    value: value.trusted,
    sizeMs: windows.sizeMs,
    retentionMs,
    onClose,
  }
}

export function suppressStore(
  draft: Draft,
  name: string,
  { key, value }: Typed,
  settings: StoreSettings,
): StoreSpec {
  return {
    kind: 'suppress',
    ...common(draft, name, { backend: 'sqlite', ...settings }),
    changelogConfig: COMPACT,
    key: key.trusted,
    value: value.trusted,
  }
}

export function dedupeStore(
  draft: Draft,
  name: string,
  withinMs: number,
  settings: StoreSettings,
): StoreSpec {
  wholeNumber('withinMs', withinMs, 1)
  return {
    kind: 'dedupe',
    ...common(draft, name, settings),
    changelogConfig: windowedChangelog(draft, withinMs),
    withinMs,
  }
}

/** A store that the program declared: plain unless it says otherwise, as processors' stores are in Kafka Streams. */
export function declaredStore(
  draft: Draft,
  declaration: StoreDeclaration<unknown, unknown>,
): StoreSpec {
  const { name, key, value, ordered, options } = declaration
  const { logged, timestamped = false, backend = ordered ? 'sqlite' : 'level' } = options
  const isCached = draft.options.caching && options.caching === true
  if (ordered && backend === 'level') {
    throw new TopologyError('OPTION_INVALID', `${name}: level keeps no order; sqlite and memory do`)
  }
  return {
    kind: 'key-value',
    ...common(draft, name, { logged, backend }, isCached),
    ordered,
    changelogConfig: COMPACT,
    key: key.trusted,
    value: value.trusted,
    timestamped,
  }
}
