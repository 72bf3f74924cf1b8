/**
 * A store as the topology declares it, over an open backend: the write buffer that the task's processors see.
 *
 * Invariant: a store whose input topic is its changelog writes no changelog of its own.
 */
import {
  DedupeBuffer,
  KeyValueWriteBuffer,
  SuppressBuffer,
  WindowWriteBuffer,
  type StateStore,
  type TaskStore,
} from '#state'
import { assert } from '#system'
import type { StoreSpec } from '#topology'
import { logsExpiry } from './store-expiry.ts'

export function taskStoreOf(spec: StoreSpec, store: StateStore, cacheBytesMax: number): TaskStore {
  const { name, logEvery } = spec
  const logged = spec.logged && spec.changelogTopic === undefined
  switch (spec.kind) {
    case 'key-value': {
      const { key, value, timestamped, ordered } = spec
      return new KeyValueWriteBuffer({
        name,
        store,
        key,
        value,
        timestamped,
        logged,
        logEvery,
        ordered,
        cacheBytesMax,
      })
    }
    case 'window': {
      const { key, value, sizeMs, retentionMs, onClose } = spec
      return new WindowWriteBuffer({
        name,
        store,
        key,
        value,
        sizeMs,
        retentionMs,
        onClose,
        logged,
        logEvery,
        logExpiry: logsExpiry(spec),
        cacheBytesMax,
      })
    }
    case 'suppress':
      return new SuppressBuffer({ name, store, logged })
    case 'dedupe':
      return new DedupeBuffer({
        name,
        store,
        logged,
        logExpiry: logsExpiry(spec),
        withinMs: spec.withinMs,
      })
  }
}

/** Every store of a sub-topology by name; each declared one is there. */
export function taskStoresOf(
  specs: readonly StoreSpec[],
  backends: ReadonlyMap<string, StateStore>,
  { cacheBytesMax }: { readonly cacheBytesMax: number },
): ReadonlyMap<string, TaskStore> {
  return new Map(
    specs.map((spec) => {
      const backend = backends.get(spec.name)
      assert(backend !== undefined, `store ${spec.name} is open before its task is made`)
      return [spec.name, taskStoreOf(spec, backend, cacheBytesMax)]
    }),
  )
}
