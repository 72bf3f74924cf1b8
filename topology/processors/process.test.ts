import { describe, expect, test } from 'bun:test'
import { TopologyError } from '../topology.ts'
import type {
  KeyValueStore,
  ProcessorContext,
  ProcessorInstance,
  StreamRecord,
} from '../processor.ts'
import type { TopologyNode } from '../node.ts'
import { operator, sink, source, tableStore } from '../test-helper/nodes.ts'
import { line, Rig } from '../test-helper/rig.ts'

type Context = ProcessorContext<unknown, unknown>
type Instance = ProcessorInstance<unknown, unknown, unknown, unknown>
type Incoming = StreamRecord<unknown, unknown>

/** A class processor that does with each record what the test says. */
class Doing implements Instance {
  readonly #run: (record: Incoming, context: Context) => void
  #context: Context | undefined

  constructor(run: (record: Incoming, context: Context) => void) {
    this.#run = run
  }

  init(context: Context): void {
    this.#context = context
  }

  process(record: Incoming): void {
    if (this.#context !== undefined) this.#run(record, this.#context)
  }
}

const after: readonly TopologyNode[] = [sink('p')]

function processing(
  run: (record: Incoming, context: Context) => void,
  options: {
    keepsKey?: boolean
    below?: readonly TopologyNode[]
    freezeValues?: boolean
    timestamped?: boolean
  } = {},
) {
  const { keepsKey = false, below = after, freezeValues = false, timestamped = true } = options
  const node = operator('process', 'p', 'in', {
    stores: ['s'],
    supplier: () => new Doing(run),
    keepsKey,
  })
  return Rig.open([source('in'), node, ...below], [tableStore('s', { timestamped })], {
    freezeValues,
  })
}

describe('a class processor', () => {
  test('forwards with another key, value, time and headers; what follows sees them (R1, R2)', async () => {
    const rig = await processing((record, context) => {
      context.forward({ key: 'k2', value: 'v2', timestampMs: 99, headers: [['h', null]] })
      context.forward({ ...record, value: 'again' })
    })
    rig.pipe('in', 'k', 'v', 5, [['given', null]])
    expect(rig.outputs).toEqual([
      { topic: 'out', key: 'k2', value: 'v2', timestampMs: 99, headers: [['h', null]] },
      { topic: 'out', key: 'k', value: 'again', timestampMs: 5, headers: [['given', null]] },
    ])
  })

  test('forwards to one child by name', async () => {
    const below = [sink('p', { name: 'left' }), sink('p', { name: 'right', topic: 'other' })]
    const rig = await processing(
      (record, context) => {
        context.forward(record, 'right')
        context.forward(record)
        expect(() => context.forward(record, 'nobody')).toThrow(TopologyError)
      },
      { below },
    )
    rig.pipe('in', 'k', 'v', 1)
    expect(rig.outputs.map(({ topic }) => topic)).toEqual(['other', 'out', 'other'])
  })

  test('knows where its record came from, and the task’s times', async () => {
    const told: unknown[] = []
    const rig = await processing((_, context) => {
      const { metadata, streamTimeMs, wallClockMs, applicationId, taskId } = context
      told.push({ metadata, streamTimeMs, wallClockMs, applicationId, taskId })
      context.commit()
    })
    rig.pipe('in', 'k', 'v', 7)
    rig.pipe('in', 'k', 'v', 3)
    expect(told).toEqual(
      [0, 1].map((offset) => ({
        metadata: { topic: 'in', partition: 0, offset },
        streamTimeMs: 7,
        wallClockMs: 0,
        applicationId: 'app',
        taskId: '0_0',
      })),
    )
    expect(rig.commitsRequested).toBe(2)
  })

  test('may not forward a negative time', async () => {
    const rig = await processing((record, context) => {
      context.forward({ ...record, timestampMs: -1 })
    })
    expect(() => rig.pipe('in', 'k', 'v', 1)).toThrow(TopologyError)
  })

  test('that keeps keys may not forward another one', async () => {
    const rig = await processing(
      (record, context) => {
        context.forward({ ...record, value: 'same key' })
        context.forward({ ...record, key: 'other' })
      },
      { keepsKey: true },
    )
    expect(() => rig.pipe('in', 'k', 'v', 1)).toThrow(/keeps keys/)
    expect(rig.take()).toEqual([])
  })

  test('is made once, initialised parents first, and closed', async () => {
    const calls: string[] = []
    const noting = (name: string) => (): Instance => ({
      init: () => void calls.push(`init ${name}`),
      process() {},
      close: () => void calls.push(`close ${name}`),
    })
    const nodes = [
      source('in'),
      operator('process', 'a', 'in', { supplier: noting('a'), keepsKey: false }),
      operator('pass', 'merge', 'a', {}),
      operator('process', 'b', 'merge', { supplier: noting('b'), keepsKey: false }),
    ]
    const rig = await Rig.open(nodes)
    rig.pipeline.close()
    expect(calls).toEqual(['init a', 'init b', 'close a', 'close b'])
  })
})

describe('its stores', () => {
  const stores: { s?: KeyValueStore<unknown, unknown> } = {}
  const open = (context: Context): KeyValueStore<unknown, unknown> =>
    context.store('s') as KeyValueStore<unknown, unknown>

  test('give, take and delete; what is put carries the record’s time', async () => {
    const rig = await processing((record, context) => {
      const s = open(context)
      const timed = s.getTimed(record.key)
      const before = timed === undefined ? 'none' : `${timed.value}@${timed.timestampMs}`
      if (record.value === 'gone') expect(s.delete(record.key)).toBe('y')
      else s.put(record.key, record.value as string)
      context.forward({ ...record, value: `${before} → ${s.get(record.key) ?? 'none'}` })
    })
    for (const [at, value] of ['x', 'y', 'gone', null].entries()) rig.pipe('in', 'k', value, at)
    expect(rig.take()).toEqual(['k none → x@0', 'k x@0 → y@1', 'k y@1 → none@2', 'k none → none@3'])
  })

  test('what is put after a forward still carries this record’s time', async () => {
    const below = [
      operator('process', 'later', 'p', {
        keepsKey: true,
        supplier: () => ({ processValue: (value) => value }),
      }),
      sink('later'),
    ]
    const run = (record: Incoming, context: Context): void => {
      context.forward({ ...record, timestampMs: 900 })
      open(context).put(record.key, 'x')
      context.forward({ ...record, value: open(context).getTimed(record.key)?.timestampMs })
    }
    const rig = await processing(run, { below })
    rig.pipe('in', 'k', 'v', 5)
    expect(rig.take().at(-1)).toBe('k 5@5')
  })

  test('ranges go by the order of the encoded keys, both ends included', async () => {
    const rig = await processing((record, context) => {
      const s = context.store('s') as {
        put(key: unknown, value: unknown): void
        range(range?: object): Iterable<readonly [unknown, unknown]>
      }
      s.put(record.key, record.value)
      if (record.value !== 4) return
      const keys = (range?: object): unknown => [...s.range(range)].map(([key]) => key)
      context.forward({ ...record, value: [keys({ from: 'b', to: 'c' }), keys({ reverse: true })] })
    })
    for (const [at, key] of ['d', 'b', 'a', 'c'].entries()) rig.pipe('in', key, at + 1, at)
    expect(rig.outputs[0]?.value).toEqual([
      ['b', 'c'],
      ['d', 'c', 'b', 'a'],
    ])
  })

  test('must be named by the operator, and a null key has no place in them', async () => {
    const rig = await processing((_, context) => {
      expect(() => context.store('other')).toThrow(TopologyError)
      expect(() => open(context).put(null, 'x')).toThrow(TopologyError)
      stores.s = open(context)
    })
    rig.pipe('in', 'k', 'v', 1)
    expect(stores.s).toBeDefined()
  })

  test('freeze what is kept, where the test driver asks for it', async () => {
    const run = (_: Incoming, context: Context): void => {
      const value = { stock: { left: 3 }, tags: ['a'], bytes: Uint8Array.of(1) }
      open(context).put('k', value)
      value.bytes[0] = 2
      value.stock.left = 2
    }
    const frozen = await processing(run, { freezeValues: true })
    expect(() => frozen.pipe('in', 'k', 'v', 1)).toThrow(TypeError)
    const loose = await processing(run)
    loose.pipe('in', 'k', 'v', 1)
  })
})

test('a record that throws leaves no put behind (R15)', async () => {
  const rig = await processing((record, context) => {
    const s = context.store('s') as KeyValueStore<unknown, unknown>
    s.put('last', record.value as string)
    context.forward({ ...record, value: s.get('before') ?? null })
    s.put('before', record.value as string)
    if (record.value === 'bad') throw new RangeError('bad')
  })
  rig.pipe('in', 'k', 'good', 1)
  expect(() => rig.pipe('in', 'k', 'bad', 2)).toThrow('bad')
  rig.pipe('in', 'k', 'next', 3)
  expect(rig.outputs.map(line)).toEqual(['k null@1', 'k good@3'])
})
