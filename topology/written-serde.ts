/**
 * What every serde of this library is made of: one way to write and one way to read, from which the others follow.
 *
 * Invariant: `encode` returns exactly what `write` appends, `decode` exactly what `read` finds.
 */
import type { Buffer } from 'node:buffer'
import { asBuffer, ByteWriter } from '#system'
import type { Serde } from './serde.ts'
import { TopologyError } from './topology.ts'

const scratch = new ByteWriter(1024)

export abstract class WrittenSerde<T> implements Serde<T> {
  abstract readonly name: string
  abstract write(value: T, target: ByteWriter): void
  abstract read(source: Buffer, start: number, end: number): T

  get trusted(): Serde<T> {
    return this
  }

  encode(value: T): Uint8Array {
    // A user's serde may encode inside its `write`: what is below the mark is not ours.
    const mark = scratch.length
    try {
      this.write(value, scratch)
      return scratch.copy(mark)
    } finally {
      scratch.length = mark
    }
  }

  decode(bytes: Uint8Array): T {
    return this.read(asBuffer(bytes), 0, bytes.length)
  }
}

/** Refuses a value or bytes: the record becomes a dead letter. */
export function refuse(serde: string, why: string, cause?: unknown): never {
  throw new TopologyError('SERDE_INVALID', `${serde}: ${why}`, { cause })
}

/** Refuses bytes of another length than the type has. */
export function expectLength(serde: string, expected: number, start: number, end: number): void {
  if (end - start !== expected) refuse(serde, `${end - start} bytes where ${expected} are due`)
}
