/**
 * Under which keys a LevelDB store keeps its rows, and its own rows beside them.
 *
 * Invariant: `toRowKey` keeps the order of keys, and no key leads to one of the store's own rows.
 *
 * A row has its own key, without a copy. The store's own rows lie under the reserved prefix of sixteen ff, then 00; a key that
 * itself starts with sixteen ff gets an 01 after them, which keeps its place in the order:
 *
 *   61 62          → 61 62
 *   ff×16 61       → ff×16 01 61
 *   the header     → ff×16 00 68
 */
import { Buffer } from 'node:buffer'
import { STORE_FORMAT } from './store.ts'

const RESERVED_LENGTH = 16
const OWN = 0x00
const ESCAPED = 0x01

export const FIRST: Uint8Array = new Uint8Array(0)
export const HEADER: Uint8Array = ownRow('h')
export const SAMPLE: Uint8Array = ownRow('s')
/** Format (uint8), whether closed cleanly (uint8), boot id in UTF-8. */
export const MARK: Uint8Array = ownRow('m')
/** Above every row there can be. */
export const BEYOND: Uint8Array = Buffer.alloc(RESERVED_LENGTH + 1, 0xff)

export const IN_USE: number = 0
export const CLEAN: number = 1

function ownRow(name: string): Uint8Array {
  return Buffer.concat([Buffer.alloc(RESERVED_LENGTH, 0xff), Buffer.from([OWN]), Buffer.from(name)])
}

export function markOf(state: number, bootId: string | undefined): Uint8Array {
  return Buffer.concat([Buffer.from([STORE_FORMAT, state]), Buffer.from(bootId ?? '')])
}

function isReserved(key: Uint8Array): boolean {
  if (key[0] !== 0xff || key.length < RESERVED_LENGTH) return false
  for (let at = 1; at < RESERVED_LENGTH; at += 1) if (key[at] !== 0xff) return false
  return true
}

export function isOwn(row: Uint8Array): boolean {
  return isReserved(row) && row[RESERVED_LENGTH] === OWN
}

export function toRowKey(key: Uint8Array): Uint8Array {
  if (!isReserved(key)) return key
  const [before, after] = [key.subarray(0, RESERVED_LENGTH), key.subarray(RESERVED_LENGTH)]
  return Buffer.concat([before, Buffer.from([ESCAPED]), after])
}

export function toKey(row: Uint8Array): Uint8Array {
  if (!isReserved(row)) return row
  return Buffer.concat([row.subarray(0, RESERVED_LENGTH), row.subarray(RESERVED_LENGTH + 1)])
}
