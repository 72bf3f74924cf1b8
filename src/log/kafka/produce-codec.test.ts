/** Produce requests byte by byte, and answers with everything that a broker may put in. */
import { Reader, Writer } from '@platformatic/kafka'
import { expect, test } from 'bun:test'

import { readProduce, writeProduce } from './produce-codec.ts'

test('a request groups partitions by topic and carries batches as they are', () => {
  const batch = (text: string): Buffer => Buffer.from(text)
  const { buffer } = writeProduce({
    transactionalId: 'w',
    timeoutMs: 258,
    batches: [
      { topic: 'a', partition: 1, batch: batch('one') },
      { topic: 'b', partition: 0, batch: batch('two') },
      { topic: 'a', partition: 2, batch: batch('six') },
    ],
  })
  const head = [2, 119, 0xff, 0xff, 0, 0, 1, 2]
  const one = [0, 0, 0, 1, 4, ...batch('one'), 0]
  const six = [0, 0, 0, 2, 4, ...batch('six'), 0]
  const two = [0, 0, 0, 0, 4, ...batch('two'), 0]
  // Counts and lengths are one more than they are; every level ends in its tags, of which there are none.
  const bytes = [...head, 2 + 1, 2, 97, 2 + 1, ...one, ...six, 0, 2, 98, 1 + 1, ...two, 0, 0]
  expect([...buffer]).toEqual(bytes)
})

test('an answer has every partition’s code, what the broker says, and who leads now', () => {
  const answer = Writer.create()
    .appendArray(['orders', 'stock'], (writer, topic) => {
      writer.appendString(topic).appendArray(
        [0, 1],
        (each, partition) => {
          const isWrong = topic === 'orders' && partition === 1
          each.appendInt32(partition).appendInt16(isWrong ? 6 : 0)
          each.appendInt64(isWrong ? -1n : 40n + BigInt(partition))
          each.appendInt64(-1n).appendInt64(0n)
          each.appendArray(isWrong ? ['record 3 is bad'] : [], (one, said) => {
            one.appendInt32(3).appendString(said)
          })
          each.appendString(isWrong ? 'go away' : null)
          if (!isWrong) return each.appendTaggedFields()
          // Two tags: one that nobody knows, and the leader, which is a struct with tags of its own.
          each.appendUnsignedVarInt(2)
          each.appendUnsignedVarInt(0).appendUnsignedVarInt(9).appendInt32(3).appendInt32(17)
          each.appendTaggedFields()
          return each.appendUnsignedVarInt(5).appendUnsignedVarInt(2).appendInt16(1)
        },
        true,
        false,
      )
    })
    .appendInt32(0)
    .appendTaggedFields()
  const clean = { code: 0, detail: null, leader: undefined }
  expect(readProduce(1, 0, 12, Reader.from(answer.buffer))).toEqual([
    { topic: 'orders', partition: 0, baseOffset: 40, ...clean },
    {
      topic: 'orders',
      partition: 1,
      code: 6,
      baseOffset: -1,
      detail: 'go away; record 3 is bad',
      leader: { nodeId: 3, leaderEpoch: 17 },
    },
    { topic: 'stock', partition: 0, baseOffset: 40, ...clean },
    { topic: 'stock', partition: 1, baseOffset: 41, ...clean },
  ])
})
