/**
 * Text as UTF-8, with the strings that come again and again made only once.
 *
 * Invariant: what is returned equals the decoded bytes; whether it came from the table cannot be told.
 */
import type { Buffer } from 'node:buffer'
import type { ByteWriter } from '#system'
import { refuse, WrittenSerde } from './written-serde.ts'

/** A power of two. Keys are few and come often; a slot that is hit by two of them just changes hands. */
const SLOTS = 1024
const INTERNED_BYTES_MAX = 32
/** So short a text is written sooner than the encoder is called. */
const PLAIN_CHARACTERS_MAX = 16

export class StringSerde extends WrittenSerde<string> {
  readonly name: string = 'string'
  /** By a hash of the bytes. Only ASCII is here, where a byte is a character. */
  readonly #slots: string[] = Array.from({ length: SLOTS }, () => '')

  write(value: string, target: ByteWriter): void {
    if (typeof value !== 'string') refuse('string', `${typeof value} is no string`)
    if (value.length > PLAIN_CHARACTERS_MAX || !writePlain(value, target)) target.utf8(value)
  }

  read(source: Buffer, start: number, end: number): string {
    const length = end - start
    if (length > INTERNED_BYTES_MAX || length === 0) return source.utf8Slice(start, end)
    let hash = length
    let seen = 0
    for (let at = start; at < end; at++) {
      const byte = source[at] as number
      hash = (Math.imul(hash, 31) + byte) | 0
      seen |= byte
    }
    if (seen > 0x7f) return source.utf8Slice(start, end)
    const slot = (hash ^ (hash >>> 15)) & (SLOTS - 1)
    const kept = this.#slots[slot] as string
    if (isSame(kept, source, start, length)) return kept
    const made = source.latin1Slice(start, end)
    this.#slots[slot] = made
    return made
  }
}

/** False, and nothing is written, if the text is not ASCII. */
function writePlain(text: string, target: ByteWriter): boolean {
  const { length } = text
  target.reserve(length)
  const { buffer, length: start } = target
  for (let at = 0; at < length; at++) {
    const code = text.charCodeAt(at)
    if (code > 0x7f) return false
    buffer[start + at] = code
  }
  target.length = start + length
  return true
}

function isSame(text: string, source: Buffer, start: number, length: number): boolean {
  if (text.length !== length) return false
  for (let at = 0; at < length; at++) {
    if (text.charCodeAt(at) !== source[start + at]) return false
  }
  return true
}
