/** Ordered bytes at a known position, and the write buffers over them. Loads no backend: ask for those by name. */
export * from './bytes.ts'
export { KeyValueWriteBuffer, type KeyValueWriteBufferOptions } from './key-value-store.ts'
export {
  parseTimestamped,
  parseWindowStoreKey,
  windowStoreKey,
  type WindowStoreKey,
} from './row-format.ts'
export { decodeStoreHeader, encodeStoreHeader } from './store-header.ts'
export * from './store.ts'
export * from './task-store.ts'
export { WindowWriteBuffer, type WindowWriteBufferOptions } from './window-store.ts'
