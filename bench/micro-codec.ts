/** Record batches, checksum and partitioner. */
import { checkBatch, partitionFor, RecordBatchWriter, RecordCursor, stampOffsets } from '#log'
import { json, string } from '#topology'
import type { Pieces } from './piece.ts'
import { orderOf, type Order } from './orders.ts'

const RECORDS = 500
const PLACE = { topic: 'orders', partition: 0 }

export async function codecPieces(): Promise<Pieces> {
  const orders = Array.from({ length: RECORDS }, (_, number) => orderOf(number))
  const batch = encode(orders)
  stampOffsets(batch, { baseOffset: 0, leaderEpoch: 0 })
  const cursor = new RecordCursor()
  const keys = orders.map(({ item_id }) => Buffer.from(item_id))
  const [keySerde, valueSerde] = [string(), json()]
  const pieces = [
    { name: 'encode orders into a batch', of: 'record', run: () => encode(orders).length },
    {
      name: 'walk the records of a batch',
      of: 'record',
      run() {
        let bytes = 0
        cursor.open(batch, PLACE)
        while (cursor.next()) bytes += cursor.valueEnd - cursor.keyStart
        return bytes
      },
    },
    {
      name: 'walk and decode keys and values',
      of: 'record',
      run() {
        let sum = 0
        cursor.open(batch, PLACE)
        while (cursor.next()) {
          const { buffer, keyStart, keyEnd, valueStart, valueEnd } = cursor
          sum += keySerde.read(buffer, keyStart, keyEnd).length
          sum += (valueSerde.read(buffer, valueStart, valueEnd) as Order).qty
        }
        return sum
      },
    },
    {
      name: 'check a batch',
      of: 'record',
      run() {
        checkBatch(batch, { ...PLACE, offset: 0 })
        return batch.length
      },
    },
    {
      name: 'partition of a key',
      of: 'key',
      run: () => keys.reduce((sum, key) => sum + partitionFor(key, 12), 0),
    },
  ]
  return { pieces: pieces.map((piece) => ({ ...piece, count: RECORDS })), close: async () => {} }
}

function encode(orders: readonly Order[]): Uint8Array {
  const writer = new RecordBatchWriter()
  const [key, value] = [string(), json()]
  for (const order of orders) writer.addWith(order.timestamp, order.item_id, key, order, value, [])
  return writer.finish()
}
