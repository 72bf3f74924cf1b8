/** Batches as a broker would keep them: at an offset, of a producer, plain or of a transaction, and control markers. */
import { Buffer } from 'node:buffer'

import {
  ATTRIBUTES_AT,
  CONTROL_BIT,
  sealBatch,
  stampOffsets,
  stampProducer,
} from '../../record-batch.ts'
import { RecordBatchWriter } from '../../record-batch-writer.ts'

const NOBODY = -1
const MARKER_EPOCH = 0

export interface BatchPlace {
  readonly baseOffset: number
  /** −1, unless given, is no producer. */
  readonly producerId?: number
  readonly transactional?: boolean
}

export function batchAt(place: BatchPlace, values: readonly string[]): Buffer {
  const writer = new RecordBatchWriter()
  for (const value of values) writer.add(1_700_000_000_000, null, Buffer.from(value), [])
  return stamped(Buffer.from(writer.finish()), place)
}

/** The end of a transaction: a control batch of one record, whose key is version and type. */
export function markerAt(baseOffset: number, producerId: number, kind: 'commit' | 'abort'): Buffer {
  const writer = new RecordBatchWriter()
  writer.add(
    1_700_000_000_000,
    Buffer.from([0, 0, 0, kind === 'commit' ? 1 : 0]),
    Buffer.alloc(6),
    [],
  )
  const bytes = Buffer.from(writer.finish())
  bytes.writeInt16BE(bytes.readInt16BE(ATTRIBUTES_AT) | CONTROL_BIT, ATTRIBUTES_AT)
  return stamped(bytes, { baseOffset, producerId, transactional: true })
}

function stamped(bytes: Buffer, place: BatchPlace): Buffer {
  const { baseOffset, producerId = NOBODY, transactional = false } = place
  const epoch = producerId === NOBODY ? NOBODY : MARKER_EPOCH
  stampProducer(bytes, { producerId, epoch, baseSequence: NOBODY, transactional })
  stampOffsets(bytes, { baseOffset, leaderEpoch: 0 })
  sealBatch(bytes)
  return bytes
}
