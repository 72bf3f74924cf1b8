/**
 * Byte strings as stores compare, print and hash them.
 *
 * Invariant: one order everywhere: unsigned byte by byte, and a prefix comes before what it is a prefix of.
 */
import { Buffer } from 'node:buffer'
import { asBuffer } from '#system'

/** Negative, zero or positive as `left` sorts before, with or after `right`. */
export function compareBytes(left: Uint8Array, right: Uint8Array): number {
  return Buffer.compare(left, right)
}

export function equalBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && Buffer.compare(left, right) === 0
}

/** One character a byte: a map key and sort key, since strings of such characters compare as their bytes do. */
export function bytesToText(bytes: Uint8Array): string {
  return asBuffer(bytes).latin1Slice(0, bytes.length)
}

export function textToBytes(text: string): Uint8Array {
  const bytes = Buffer.allocUnsafe(text.length)
  bytes.latin1Write(text, 0, text.length)
  return bytes
}

export function toHex(bytes: Uint8Array): string {
  return bytes.toHex()
}

export function fromHex(text: string): Uint8Array {
  return Uint8Array.fromHex(text)
}

/** The first key after `key`: nothing sorts between the two. */
export function keyAfter(key: Uint8Array): Uint8Array {
  const after = new Uint8Array(key.length + 1)
  after.set(key)
  return after
}

/**
 * The first key after every key that starts with `prefix`, as an excluded upper bound; undefined when nothing can follow
 * (the prefix is empty or all ff).
 *
 * `61 ff` → `62`, `61 62` → `61 63`
 */
export function prefixEnd(prefix: Uint8Array): Uint8Array | undefined {
  let length = prefix.length
  while (length > 0 && prefix[length - 1] === 0xff) length -= 1
  if (length === 0) return undefined
  const end = prefix.slice(0, length)
  end[length - 1] = (end[length - 1] ?? 0) + 1
  return end
}
