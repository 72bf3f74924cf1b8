import { expect, test } from 'bun:test'
import type { Serde } from '../serde.ts'
import { Sink } from './sink.ts'
import { chain, sink, source } from '../test-helper/nodes.ts'
import { plain, Rig } from '../test-helper/rig.ts'
import { RunContext } from '../run-context.ts'

test('headers of the record in hand leave with it (R2)', async () => {
  const rig = await Rig.open(chain())
  const headers = [['trace', Uint8Array.of(1)]] as const
  rig.pipe('in', 'k', 'v', 1, headers)
  expect(rig.outputs).toEqual([{ topic: 'out', key: 'k', value: 'v', timestampMs: 1, headers }])
})

test('a topic may be chosen by value and key', async () => {
  const topic = (value: unknown, key: unknown): string => `${key}-${value}`
  const rig = await Rig.open([source('in'), sink('in', { topic })])
  rig.pipe('in', 'k', 'v', 1)
  expect(rig.outputs.map((output) => output.topic)).toEqual(['k-v'])
})

function collecting(node: Parameters<typeof sink>[1]) {
  const collected: { key: Serde<unknown>; partitionKey: unknown }[] = []
  const run = new RunContext({
    applicationId: 'app',
    taskId: '0_0',
    partition: 0,
    wallClockMs: () => 0,
    stores: new Map(),
    collector: {
      collect: (_topic, _partition, _key, keySerde, _value, _valueSerde, _ms, _headers, chosen) => {
        collected.push({ key: keySerde as Serde<unknown>, partitionKey: chosen })
      },
      announceTime() {},
    },
    dropped() {},
    late() {},
    requestCommit() {},
  })
  const wiring = {
    run,
    subTopology: { number: 0, nodes: [], sources: [], sinks: [], stores: [], coPartitioned: [] },
    stores: new Map(),
    next: { name: 'none', process() {} },
    children: [],
    childNames: [],
    isTimeHeld: false,
    announcesTo: [],
  }
  return { processor: new Sink(sink('in', node), wiring), collected }
}

test('a windowed key is partitioned by the bytes that the node names, asked only where it matters (3.5)', () => {
  const partitionKey = (): Uint8Array => Uint8Array.of(7)
  const { processor, collected } = collecting({ partitionKey })
  processor.process('k', 'v', 1)
  expect(collected.map((each) => each.partitionKey)).toEqual([partitionKey])
})

test('internal topics are written without the check of a schema', () => {
  const trusted = { ...plain, name: 'trusted' }
  const checked = { ...plain, name: 'checked', trusted }
  const internal = collecting({ internal: true, key: checked, value: checked })
  internal.processor.process('k', 'v', 1)
  const outside = collecting({ internal: false, key: checked, value: checked })
  outside.processor.process('k', 'v', 1)
  expect(internal.collected[0]?.key.name).toBe('trusted')
  expect(outside.collected[0]?.key.name).toBe('checked')
})
