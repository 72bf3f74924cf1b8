/**
 * The bytes in which a store keeps its header, beside its rows and in the same batch (R6).
 *
 * Invariant: `decodeStoreHeader(encodeStoreHeader(header))` equals `header`, and bytes of a newer format are refused before
 * anything else in them is read.
 *
 * Numbers are big-endian. A text is its length in bytes as int32, then UTF-8. The parts, in order:
 *
 *   format (uint8) · log id · application id · store name · task id · time of the last apply, ms (int64)
 *   number of changelogs (int32), each: topic · topic id · partition (int32) · leader epoch (int32) · position (int64)
 *   number of input positions (int32), each: name · next offset (int64)
 *
 * Log `L`, application `a`, store `s`, task `0_1`, applied at 1,000 ms, changelog `c` with id `T`, partition 1, epoch 2, up to
 * offset 5, and the input `i-1` up to offset 9:
 *
 *   01 | 00000001 4c | 00000001 61 | 00000001 73 | 00000003 305f31 | 00000000000003e8
 *   00000001 | 00000001 63 | 00000001 54 | 00000001 | 00000002 | 0000000000000005
 *   00000001 | 00000003 692d31 | 0000000000000009
 */
import type { Buffer } from 'node:buffer'
import { asBuffer, ByteWriter, readInt64 } from '#system'
import { StateError, STORE_FORMAT, type ChangelogPosition, type StoreHeader } from './store.ts'

export function encodeStoreHeader(header: StoreHeader): Uint8Array {
  const target = new ByteWriter(256)
  target.uint8(header.format)
  for (const text of [header.logId, header.applicationId, header.storeName, header.taskId]) {
    writeText(target, text)
  }
  target.int64(header.appliedAtMs)
  target.int32(header.changelogs.length)
  for (const changelog of header.changelogs) {
    writeText(target, changelog.topic)
    writeText(target, changelog.topicId)
    target.int32(changelog.partition)
    target.int32(changelog.leaderEpoch)
    target.int64(changelog.position)
  }
  const inputs = Object.entries(header.appliedInputs)
  target.int32(inputs.length)
  for (const [name, nextOffset] of inputs) {
    writeText(target, name)
    target.int64(nextOffset)
  }
  return target.copy()
}

/** STORE_REFUSED for a newer format, and for bytes that are no header; `where` names the store in the message. */
export function decodeStoreHeader(bytes: Uint8Array, where: string): StoreHeader {
  const source = new HeaderReader(asBuffer(bytes), where)
  const format = source.uint8()
  if (format !== STORE_FORMAT) throw newerFormat(where, format)
  const logId = source.text()
  const applicationId = source.text()
  const storeName = source.text()
  const taskId = source.text()
  const appliedAtMs = source.int64()
  const changelogs: ChangelogPosition[] = []
  for (let left = source.int32(); left > 0; left -= 1) {
    changelogs.push({
      topic: source.text(),
      topicId: source.text(),
      partition: source.int32(),
      leaderEpoch: source.int32(),
      position: source.int64(),
    })
  }
  const inputs: [string, number][] = []
  for (let left = source.int32(); left > 0; left -= 1) {
    inputs.push([source.text(), source.int64()])
  }
  source.end()
  const appliedInputs = Object.fromEntries(inputs)
  return { format, logId, applicationId, storeName, taskId, changelogs, appliedInputs, appliedAtMs }
}

export function newerFormat(where: string, format: number): StateError {
  return new StateError(
    'STORE_REFUSED',
    `${where} has format ${format}, this version reads ${STORE_FORMAT}: ` +
      'upgrade, or remove it to rebuild it from the changelog',
  )
}

function writeText(target: ByteWriter, text: string): void {
  const at = target.length
  target.int32(0)
  target.utf8(text)
  target.buffer.writeInt32BE(target.length - at - 4, at)
}

/** Reads forward and refuses to leave the bytes, so that damage is found and never believed. */
class HeaderReader {
  readonly #source: Buffer
  readonly #where: string
  #at: number = 0

  constructor(source: Buffer, where: string) {
    this.#source = source
    this.#where = where
  }

  uint8(): number {
    return this.#source.readUInt8(this.#take(1))
  }

  int32(): number {
    return this.#source.readInt32BE(this.#take(4))
  }

  int64(): number {
    return readInt64(this.#source, this.#take(8))
  }

  text(): string {
    const count = this.int32()
    const start = this.#take(count)
    return this.#source.utf8Slice(start, start + count)
  }

  end(): void {
    if (this.#at !== this.#source.length) this.#refuse()
  }

  #take(count: number): number {
    const start = this.#at
    if (count < 0 || start + count > this.#source.length) this.#refuse()
    this.#at = start + count
    return start
  }

  #refuse(): never {
    throw new StateError(
      'STORE_REFUSED',
      `${this.#where} has an unreadable header: remove it to rebuild it from the changelog`,
    )
  }
}
