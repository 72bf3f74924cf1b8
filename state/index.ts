/** Ordered bytes at a known position, and the write buffers over them. Loads no backend: ask for those by name. */
export * from './bytes.ts'
export { decodeStoreHeader, encodeStoreHeader } from './store-header.ts'
export * from './store.ts'
export * from './task-store.ts'
