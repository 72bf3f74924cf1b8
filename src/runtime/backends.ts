/**
 * The backends of one instance folder, each loaded when the first store asks for it.
 *
 * Invariant: a program that keeps every store in memory never loads a native module.
 */
import type { BackendKind, StoreBackend } from '#state'
import { MemoryBackend } from '#state/memory'
import { assert, readBootId } from '#system'
import { TopologyError, type StoreSpec } from '#topology'

export interface StoreBackends {
  /** The backend that a store's files are in. */
  for(spec: StoreSpec): Promise<StoreBackend>
}

export interface BackendOptions {
  /** Undefined: only memory. */
  readonly folder: string | undefined
  /** Takes the place of what stores ask for. */
  readonly backend: BackendKind | undefined
}

export function createBackends(options: BackendOptions): StoreBackends {
  const open = new Map<BackendKind, Promise<StoreBackend>>()
  return {
    async for(spec) {
      const kind = options.backend ?? spec.backend
      const backend = open.get(kind) ?? load(kind, options.folder)
      open.set(kind, backend)
      const { ordered } = await backend
      if (ordered || !spec.ordered) return backend
      throw new TopologyError(
        'OPTION_INVALID',
        `store ${spec.name} is read in ranges, which ${kind} cannot answer: use sqlite or memory`,
      )
    },
  }
}

async function load(kind: BackendKind, folder: string | undefined): Promise<StoreBackend> {
  if (kind === 'memory') return new MemoryBackend()
  assert(folder !== undefined, `stores in ${kind} need a folder`)
  if (kind === 'level') {
    const { levelBackend } = await import('#state/level')
    return levelBackend({ folder, bootId: readBootId() })
  }
  const { sqliteBackend } = await import('#state/sqlite')
  return sqliteBackend({ folder })
}
