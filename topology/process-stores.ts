/**
 * Which stores a processor is connected to, as its call names them.
 *
 * Invariant: a store that several processors share puts them into one sub-topology, and their inputs must be co-partitioned.
 */
import type { Draft } from './draft.ts'
import { declaredStore } from './store-specs.ts'
import { TopologyError } from './topology.ts'
import type { StoreDeclaration, StoreHandle } from './typed-store.ts'

/** Adds what is declared and not there yet, and returns the store's name. */
export function useStore(draft: Draft, store: StoreHandle<unknown, unknown> | string): string {
  const name = typeof store === 'string' ? store : store.name
  if (typeof store !== 'string' && isDeclaration(store)) {
    draft.addStore(declaredStore(draft, store), store)
  } else if (!draft.hasStore(name)) {
    throw new TopologyError('STORE_UNKNOWN', `"${name}" is no store of this topology: add it first`)
  }
  return name
}

function isDeclaration(
  store: StoreHandle<unknown, unknown>,
): store is StoreDeclaration<unknown, unknown> {
  return 'kind' in store && store.kind === 'store'
}
