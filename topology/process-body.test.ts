import { describe, expect, test } from 'bun:test'
import {
  classProcessor,
  headerProcessor,
  isProcessorClass,
  pairProcessor,
  valueProcessor,
} from './process-body.ts'
import type {
  ProcessorContext,
  ProcessorInstance,
  StreamRecord,
  UserProcessor,
} from './processor.ts'

type Record = StreamRecord<unknown, unknown>

function contextOf(stores: Readonly<{ [name: string]: unknown }>): {
  context: ProcessorContext<unknown, unknown>
  forwarded: Record[]
} {
  const forwarded: Record[] = []
  const context: ProcessorContext<unknown, unknown> = {
    applicationId: 'app',
    taskId: '0_0',
    streamTimeMs: -1,
    wallClockMs: 0,
    metadata: { topic: 'in', partition: 0, offset: 0 },
    forward: (record) => forwarded.push(record),
    schedule: () => ({ cancel: () => {} }),
    store: (name) => stores[name],
    commit: () => {},
  }
  return { context, forwarded }
}
const record: Record = { key: 'k', value: 'v', timestampMs: 1, headers: [['old', null]] }
const asInstance = (made: UserProcessor): ProcessorInstance<unknown, unknown, unknown, unknown> => {
  expect('process' in made).toBe(true)
  return made as ProcessorInstance<unknown, unknown, unknown, unknown>
}

describe('which way a processor is written', () => {
  test('only a class with a process method is a class processor', () => {
    class Processor {
      process(): void {}
    }
    class Below extends Processor {}
    expect(isProcessorClass(Processor)).toBe(true)
    expect(isProcessorClass(Below)).toBe(true)
    expect(isProcessorClass(function* () {})).toBe(false)
    expect(isProcessorClass(() => 1)).toBe(false)
    expect(isProcessorClass(function named() {})).toBe(false)
  })
})

test('a value function gets its stores by its own names for them', () => {
  const { context } = contextOf({ 'stock-store': 'open' })
  const processor = valueProcessor((...call) => call, { stock: 'stock-store' })()
  processor.init?.(context)
  expect(processor.processValue('v', 'k')).toEqual(['v', { stock: 'open' }, 'k'])
})

test('a generator gets its stores and yields pairs', () => {
  const { context } = contextOf({ s: 'open' })
  const processor = pairProcessor(
    function* (value, stores, key) {
      yield [key, value]
      yield [stores['s'], 1]
    },
    { s: 's' },
  )()
  processor.init?.(context)
  expect([...processor.processPairs('v', 'k')]).toEqual([
    ['k', 'v'],
    ['open', 1],
  ])
})

test('a class is made once a task, with its stores open, and told of beginning and end', () => {
  const calls: unknown[] = []
  class Processor {
    constructor(stores: unknown) {
      calls.push(['made', stores])
    }
    init(): void {
      calls.push('init')
    }
    process({ value }: Record): void {
      calls.push(value)
    }
    close(): void {
      calls.push('close')
    }
  }
  const supplier = classProcessor(Processor, { s: 'store' })
  const processor = asInstance(supplier())
  processor.init?.(contextOf({ store: 'open' }).context)
  processor.process(record)
  processor.close?.()
  expect(calls).toEqual([['made', { s: 'open' }], 'init', 'v', 'close'])
  expect(supplier()).not.toBe(processor)
})

test('headers are added after those that a record has, text as UTF-8', () => {
  const { context, forwarded } = contextOf({})
  const processor = asInstance(
    headerProcessor((value, key) => [
      ['event', `${value}é`],
      ['none', null],
      ['bytes', new Uint8Array([Number(key === 'k')])],
    ])(),
  )
  processor.init?.(context)
  processor.process(record)
  expect(forwarded).toEqual([
    {
      ...record,
      headers: [
        ['old', null],
        ['event', new Uint8Array([0x76, 0xc3, 0xa9])],
        ['none', null],
        ['bytes', new Uint8Array([1])],
      ],
    },
  ])
})
