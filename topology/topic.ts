/**
 * A topic as a program declares it: its name, and what its keys and values are, said once.
 *
 * Invariant: a topic can be read as something wider and written as something narrower than it was declared, never the reverse.
 */
import { legalName } from './names.ts'
import type { AnySerde } from './node.ts'
import type { Serde } from './serde.ts'
import { TopologyError } from './topology.ts'

/** What `stream` and `table` take. */
export interface ReadableTopic<out K, out V> {
  readonly name: string
  readonly key: Serde<K>
  readonly value: Serde<V>
}

/** What `to` takes. */
export interface WritableTopic<in K, in V> {
  readonly name: string
  /** A record's bytes, as a sink writes them; null is the absence of bytes. */
  readonly encode: (key: K | null, value: V | null) => EncodedRecord
}

export interface EncodedRecord {
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
}

export interface Topic<K, V> extends ReadableTopic<K, V>, WritableTopic<K, V> {}

class DeclaredTopic<K, V> implements Topic<K, V> {
  readonly name: string
  readonly key: Serde<K>
  readonly value: Serde<V>

  constructor(name: string, key: Serde<K>, value: Serde<V>) {
    this.name = legalName(name)
    this.key = key
    this.value = value
    Object.freeze(this)
  }

  readonly encode = (key: K | null, value: V | null): EncodedRecord => ({
    key: key === null ? null : this.key.encode(key),
    value: value === null ? null : this.value.encode(value),
  })
}

/** Declares a topic: `topic('orders', { key: string(), value: json(Order) })`. */
export function topic<K, V>(
  name: string,
  { key, value }: { readonly key: Serde<K>; readonly value: Serde<V> },
): Topic<K, V> {
  return new DeclaredTopic(name, key, value)
}

/** What a sink to this topic encodes with. */
export function serdesOf<K, V>(
  topic: WritableTopic<K, V>,
): {
  readonly key: AnySerde
  readonly value: AnySerde
} {
  if (topic instanceof DeclaredTopic) return topic
  throw new TopologyError('OPTION_INVALID', `${topic.name}: declare topics with topic()`)
}
