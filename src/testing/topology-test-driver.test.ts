import { describe, expect, test } from 'bun:test'
import { json, long, store, StreamsBuilder, string, topic, tumbling } from '#topology'
import { TopologyTestDriver } from './topology-test-driver.ts'

const words = topic('words', { key: string(), value: string() })
const counts = topic('counts', { key: string(), value: long() })

function countTopology() {
  const builder = new StreamsBuilder('app')
  const table = builder.stream(words).groupByKey().count('per-word')
  table.toStream().to(counts)
  return { table, topology: builder.build() }
}

describe('TopologyTestDriver', () => {
  test('what is piped in has been processed when the promise resolves', async () => {
    const { table, topology } = countTopology()
    const driver = new TopologyTestDriver(topology)
    const input = driver.createInputTopic(words)
    const output = driver.createOutputTopic(counts)
    expect(output.isEmpty).toBe(true)
    await input.pipeInput('a', 'x', 5)
    await input.pipeKeyValueList([['b', 'x'], ['a', 'y']])
    expect(output.getQueueSize()).toBe(3)
    expect(output.readRecord()).toEqual({ key: 'a', value: 1, timestampMs: 5, headers: [] })
    expect(output.readKeyValue()).toEqual(['b', 1])
    expect(output.readValue()).toBe(2)
    expect(output.isEmpty).toBe(true)
    expect(driver.getKeyValueStore(table).get('a')).toBe(2)
    expect(driver.getKeyValueStore(table).all()).toEqual([
      { key: 'a', value: 2, timestampMs: 5 },
      { key: 'b', value: 1, timestampMs: 0 },
    ])
    await driver.close()
  })
})
