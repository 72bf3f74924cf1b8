/** A late record tells what was refused, so that whoever adds up windows and late records misses nothing. */
import { expect, test } from 'bun:test'
import { long, StreamsBuilder, string, topic, tumbling } from '#topology'
import { at, owned, TaskRig } from './test-helper/task-rig.ts'

const orders = topic('orders', { key: string(), value: string() })
const totals = topic('totals', { key: string(), value: long() })
const partitions = { orders: 1, totals: 1, 'app-counts-changelog': 1, ...owned }

/** What is written of `late`, which comes a millisecond after its window has closed. */
async function refused(late: unknown): Promise<Readonly<Record<string, unknown>>> {
  const builder = new StreamsBuilder('app')
  builder
    .stream(orders)
    .mapValues((text) => (text === 'late' ? late : text))
    .groupByKey()
    .windowedBy(tumbling({ sizeMs: 60_000, graceMs: 0 }))
    .count('counts')
    .toStream()
    .map((count, { key }) => [key, count])
    .to(totals)
  const rig = new TaskRig(builder.build(), { partitions })
  const task = await rig.task(0, 0)
  rig.append('orders', 0, at(60_000, 'in time'), at(59_999, 'late'))
  rig.run(task)
  await rig.commit(task)
  const records = rig.values('app-late')
  expect(records.length).toBe(1)
  expect(rig.values('app-dead-letters')).toEqual([])
  return JSON.parse(records[0] ?? '') as Readonly<Record<string, unknown>>
}

const circle: unknown[] = []
circle.push(circle)

test.each([
  ['an object', { orders: 2, of: ['a', null] }, { orders: 2, of: ['a', null] }],
  ['a text', 'x', 'x'],
  ['null', null, null],
  ['bytes, as base64', new Uint8Array([1, 2, 255]), 'AQL/'],
  ['bytes further down', { bytes: Buffer.from([1, 2, 255]) }, { bytes: 'AQL/' }],
  ['a bigint, as text', { n: 2n ** 64n }, { n: '18446744073709551616' }],
])('the refused value is told: %s', async (_what, late, told) => {
  expect(await refused(late)).toMatchObject({
    store: 'counts',
    window_start: 0,
    window_end: 60_000,
    timestamp: 59_999,
    value: told,
  })
})

test.each([
  ['JSON cannot tell', circle],
  ['would be too large for the log', 'x'.repeat(2 * 1024 * 1024)],
])('a value that %s is left out, and the record is still told', async (_what, late) => {
  const told = await refused(late)
  expect(told).toMatchObject({ store: 'counts', timestamp: 59_999 })
  expect('value' in told).toBe(false)
})
