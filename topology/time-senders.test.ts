import { expect, test } from 'bun:test'
import type { TopologyNode } from './node.ts'
import { count, operator, sink, source } from './test-helper/nodes.ts'
import { timeSenders } from './time-senders.ts'
import { type SubTopology, TopologyError } from './topology.ts'

const windows = { sizeMs: 10, advanceMs: 10, graceMs: 0 }
const aggregate = (name: string, parent: string, emit: 'each-update' | 'on-close') =>
  operator('window-aggregate', name, parent, {
    store: name,
    adder: count,
    windows,
    emit,
    sendsOldValues: false,
  })
const repartition = (parents: readonly string[]) =>
  sink(parents, { topic: 'x-repartition', sendsTime: true, internal: true })

function subTopology(nodes: readonly TopologyNode[]): SubTopology {
  const sinks = nodes.filter((node) => node.kind === 'sink')
  const sources = nodes.filter((node) => node.kind === 'source')
  return { number: 0, nodes, sources, sinks, stores: [], coPartitioned: [] }
}

test('the nearest on-close aggregates above the sink send, in wiring order (R12)', () => {
  const nodes = [
    source('in'),
    aggregate('outer', 'in', 'on-close'),
    aggregate('first', 'outer', 'on-close'),
    aggregate('second', 'in', 'on-close'),
    operator('to-stream', 'ts1', 'first', {}),
    operator('to-stream', 'ts2', 'second', {}),
    operator('pass', 'merge', ['ts2', 'ts1'], {}),
    repartition(['merge']),
  ]
  const topic = 'x-repartition'
  expect(timeSenders(subTopology(nodes))).toEqual([
    { topic, node: 'first' },
    { topic, node: 'second' },
  ])
})

test('what reaches such a sink past every closing window has no time to send', () => {
  const updates = [source('in'), aggregate('a', 'in', 'each-update'), repartition(['a'])]
  const merged = [source('in'), aggregate('a', 'in', 'on-close'), repartition(['a', 'in'])]
  for (const nodes of [updates, merged]) {
    expect(() => timeSenders(subTopology(nodes))).toThrow(TopologyError)
  }
})

test('other sinks send none', () => {
  expect(timeSenders(subTopology([source('in'), sink('in')]))).toEqual([])
})
