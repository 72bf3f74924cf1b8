/** The vectors that Kafka's own code has written, as the tests read them. */
import { join } from 'node:path'

export interface GoldenRecord {
  readonly offset: number
  readonly timestamp: number
  readonly keyHex: string | null
  readonly valueHex: string | null
  readonly headers: readonly (readonly [string, string | null])[]
  readonly controlType?: string
}

export interface GoldenBatch {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly crc: number
  readonly compression: string
  readonly timestampType: 'CreateTime' | 'LogAppendTime'
  readonly maxTimestamp: number
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly lastSequence: number
  readonly partitionLeaderEpoch: number
  readonly transactional: boolean
  readonly control: boolean
  readonly sizeInBytes: number
  readonly records: readonly GoldenRecord[]
}

export interface GoldenVector {
  readonly name: string
  readonly bytesHex: string
  readonly batches: readonly GoldenBatch[]
}

export async function golden<T>(name: string): Promise<T> {
  const path = join(import.meta.dir, '..', 'golden', `${name}.json.gz`)
  const text = Bun.gunzipSync(new Uint8Array(await Bun.file(path).arrayBuffer()))
  return JSON.parse(new TextDecoder().decode(text))
}

/** The one batch of a vector, and its bytes, which are the caller's to change. */
export function batchOf(vector: GoldenVector): { batch: GoldenBatch; bytes: Buffer } {
  const [batch, ...more] = vector.batches
  if (batch === undefined || more.length > 0) throw new Error(`${vector.name}: not one batch`)
  return { batch, bytes: Buffer.from(vector.bytesHex, 'hex') }
}

export const vectors: readonly GoldenVector[] =
  await golden<readonly GoldenVector[]>('record-batches')
