/** Ordered bytes at a known position, and the write buffers over them. Loads no backend: ask for those by name. */
export { changelogRestorer } from './changelog-restorer.ts'
export { DedupeBuffer, type DedupeBufferOptions } from './dedupe-store.ts'
export { KeyValueWriteBuffer, type KeyValueWriteBufferOptions } from './key-value-store.ts'
export {
  parseTimestamped,
  parseWindowStoreKey,
  windowStoreKey,
  type WindowStoreKey,
} from './row-format.ts'
export type { ChangelogRestorer, RestoredExpiry, RestoredRecord, RestoreSpec } from './restorer.ts'
export * from './store.ts'
export { storeFit, type ChangelogFacts, type StoreFit, type StoreMisfit } from './store-fit.ts'
export { SuppressBuffer, type SuppressBufferOptions } from './suppress-store.ts'
export * from './task-store.ts'
export { WindowWriteBuffer, type WindowWriteBufferOptions } from './window-store.ts'
