/**
 * Cuts a stream of bytes into Kafka's frames: four bytes of length, then so many bytes.
 *
 * Invariant: every byte that was pushed is in exactly one frame, or still waits for the rest of its own.
 */
const LENGTH_BYTES = 4
/** Brokers take no larger request unless told to (`socket.request.max.bytes`). */
const FRAME_BYTES_MAX = 104_857_600

export class Frames {
  #chunks: Buffer[] = []
  #sizeBytes = 0

  /** The frames that are whole by now, without their lengths. */
  push(chunk: Buffer): readonly Buffer[] {
    this.#chunks.push(chunk)
    this.#sizeBytes += chunk.length
    const frames: Buffer[] = []
    for (let frame = this.#take(); frame !== undefined; frame = this.#take()) frames.push(frame)
    return frames
  }

  #take(): Buffer | undefined {
    if (this.#sizeBytes < LENGTH_BYTES) return undefined
    const length = this.#head(LENGTH_BYTES).readInt32BE(0)
    if (length < 0 || length > FRAME_BYTES_MAX)
      throw new Error(`no frame of Kafka: ${length} bytes`)
    const end = LENGTH_BYTES + length
    if (this.#sizeBytes < end) return undefined
    const bytes = this.#head(end)
    this.#chunks[0] = bytes.subarray(end)
    this.#sizeBytes -= end
    return bytes.subarray(LENGTH_BYTES, end)
  }

  /** The first chunk, made to hold at least so many bytes. */
  #head(bytesMin: number): Buffer {
    const [first] = this.#chunks
    if (first !== undefined && first.length >= bytesMin) return first
    const all = Buffer.concat(this.#chunks)
    this.#chunks = [all]
    return all
  }
}

export function framed(frame: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(LENGTH_BYTES + frame.length)
  bytes.writeInt32BE(frame.length, 0)
  frame.copy(bytes, LENGTH_BYTES)
  return bytes
}
