/**
 * Keys in a window, as they are in topics: the key's bytes, then the window's start.
 *
 * Invariant: the size is not in the bytes; whoever reads them must know it.
 *
 * `latte` in the minute from 1700000000000: `6c 61 74 74 65 | 00 00 01 8b cf e5 68 00`
 */
import type { Buffer } from 'node:buffer'
import { type ByteWriter, readInt64 } from '#system'
import type { Serde } from './serde.ts'
import type { Windowed } from './windowed.ts'
import { refuse, WrittenSerde } from './written-serde.ts'

export class WindowedSerde<K> extends WrittenSerde<Windowed<K>> {
  readonly name: string
  readonly inner: Serde<K>
  readonly sizeMs: number

  constructor(inner: Serde<K>, sizeMs: number) {
    super()
    this.name = `windowed(${inner.name}, ${sizeMs})`
    this.inner = inner
    this.sizeMs = sizeMs
  }

  override get trusted(): Serde<Windowed<K>> {
    return this.inner.trusted === this.inner
      ? this
      : new WindowedSerde(this.inner.trusted, this.sizeMs)
  }

  write(value: Windowed<K>, target: ByteWriter): void {
    this.inner.write(value.key, target)
    target.int64(value.window.startMs)
  }

  read(source: Buffer, start: number, end: number): Windowed<K> {
    const keyEnd = end - 8
    if (keyEnd < start) refuse(this.name, `${end - start} bytes hold no window start`)
    const startMs = readInt64(source, keyEnd)
    const endMs = Math.min(startMs + this.sizeMs, Number.MAX_SAFE_INTEGER)
    return { key: this.inner.read(source, start, keyEnd), window: { startMs, endMs } }
  }
}

/** Keys of windows of one size, in a topic. */
export function windowed<K>(key: Serde<K>, sizeMs: number): Serde<Windowed<K>> {
  return new WindowedSerde(key, sizeMs)
}
