import { describe, expect, test } from 'bun:test'
import { Buffer } from 'node:buffer'
import { LogError, RecordBatchWriter, stampOffsets, type FetchedBatch } from '#log'
import { StateError } from '#state'
import { AssertionError } from '#system'
import { isBufferFull, isUsersError, RecordQueue } from './record-queue.ts'
import { TopologyError } from '#topology'
import { TaskError } from './task-error.ts'
import { thrownBy } from './test-helper/task-rig.ts'
import { timeHeaders } from './time-record.ts'

const input = { topic: 't', partition: 0 }

function batch(baseOffset: number, values: readonly string[], nextOffset?: number): FetchedBatch {
  const writer = new RecordBatchWriter()
  for (const [n, value] of values.entries()) writer.add(n, null, Buffer.from(value), [])
  const bytes = writer.finish()
  stampOffsets(bytes, { baseOffset, leaderEpoch: 0 })
  return { ...input, bytes, baseOffset, nextOffset: nextOffset ?? baseOffset + values.length }
}

function queueOf(internal: boolean = false): RecordQueue {
  return new RecordQueue({
    input,
    index: 0,
    internal,
    decode: ({ buffer, valueStart, valueEnd, timestampMs }) => {
      const value = buffer.utf8Slice(valueStart, valueEnd)
      if (value === 'bad') throw new SyntaxError(value)
      if (value === 'ours') throw new AssertionError(value)
      return { key: null, value, timestampMs }
    },
  })
}

function takeAll(queue: RecordQueue): readonly unknown[] {
  const values: unknown[] = []
  while (queue.advance()) {
    values.push(queue.kind === 'record' ? queue.value : queue.kind)
    queue.take(true)
  }
  return values
}

describe('a record queue', () => {
  test('gives the records of its batches in order, and passes over offsets below its position', () => {
    const queue = queueOf()
    queue.position = 12
    queue.add(batch(10, ['a', 'b', 'c', 'd']))
    queue.add(batch(20, ['e'], 25))
    expect(queue.isEmpty).toBe(false)
    expect(takeAll(queue)).toEqual(['c', 'd', 'e'])
    // Past what the last batch covered, though its last offsets held no record.
    expect(queue.position).toBe(25)
    expect(queue.isEmpty).toBe(true)
    expect(queue.bufferedBytes).toBe(0)
  })

  test('stands at the head that is not taken yet (T8)', () => {
    const queue = queueOf()
    queue.add(batch(0, ['a', 'b']))
    queue.advance()
    queue.take(true)
    queue.advance()
    expect(queue.position).toBe(1)
    queue.skipTo(99)
    expect(queue.position).toBe(1)
  })

  test('gives what cannot be decoded its turn, and goes on behind it', () => {
    const queue = queueOf()
    queue.add(batch(0, ['a', 'bad', 'b']))
    expect(takeAll(queue)).toEqual(['a', 'failed', 'b'])
  })

  test('passes over whole control batches', () => {
    const queue = queueOf()
    const control = batch(1, ['marker'])
    control.bytes[22] = (control.bytes[22] ?? 0) | 0x20
    queue.add(batch(0, ['a']))
    queue.add(control)
    queue.add(batch(2, ['b']))
    expect(takeAll(queue)).toEqual(['a', 'b'])
    expect(queue.position).toBe(3)
  })

  test('many batches cost no memory once they are done with', () => {
    const queue = queueOf()
    for (let n = 0; n < 1_000; n++) queue.add(batch(n, [`${n}`]))
    expect(takeAll(queue)).toHaveLength(1_000)
    expect(queue.isEmpty).toBe(true)
  })

  test('looks for time records in internal topics only', () => {
    const announced = { subTopology: 0, partition: 1, node: 'n', timeMs: 5, idle: false }
    for (const internal of [true, false]) {
      const writer = new RecordBatchWriter()
      writer.add(5, null, null, timeHeaders(announced))
      const queue = queueOf(internal)
      queue.add({ ...input, bytes: writer.finish(), baseOffset: 0, nextOffset: 1 })
      queue.advance()
      expect(queue.kind === 'time').toBe(internal)
      if (internal) expect(queue.announced).toEqual(announced)
    }
  })

  test('does not take our own mistakes for a bad record', () => {
    const queue = queueOf()
    queue.add(batch(0, ['ours']))
    expect(thrownBy(() => queue.advance())).toBeInstanceOf(AssertionError)
  })
})

test.each([
  [new RangeError('x'), true],
  ['a thrown string', true],
  [new StateError('STORE_SERDE', 'x'), true],
  [new StateError('STORE_FAILED', 'x'), false],
  [new LogError('RECORD_TOO_LARGE', 'x'), true],
  [new LogError('LOG_CORRUPT', 'x'), false],
  [new TaskError('TOPIC_MISSING', 'x', { taskId: '0_0' }), false],
  [new AssertionError('x'), false],
])('%o is the user’s: %p (R15)', (error, isUsers) => {
  expect(isUsersError(error)).toBe(isUsers)
})

test('a full buffer is told from a value that its serde cannot take (U4)', () => {
  expect(isBufferFull(new TopologyError('BUFFER_FULL', 'x'))).toBe(true)
  expect(isBufferFull(new TopologyError('SERDE_INVALID', 'x'))).toBe(false)
})
