import { describe, expect, test } from 'bun:test'
import * as v from 'valibot'
import {
  json,
  long,
  store,
  StreamsBuilder,
  string,
  topic,
  tumbling,
  type ProcessorContext,
  type StreamRecord,
} from '#topology'
import { TopologyTestDriver } from './topology-test-driver.ts'

const words = topic('words', { key: string(), value: string() })
const counts = topic('counts', { key: string(), value: long() })
const texts = topic('texts', { key: string(), value: string() })

function counting() {
  const builder = new StreamsBuilder('app')
  const table = builder.stream(words).groupByKey().count('per-word')
  table.toStream().to(counts)
  return { table, topology: builder.build() }
}

describe('TopologyTestDriver', () => {
  test('what is piped in has been processed when the promise resolves', async () => {
    const { table, topology } = counting()
    const driver = new TopologyTestDriver(topology)
    const input = driver.createInputTopic(words)
    const output = driver.createOutputTopic(counts)
    expect(output.isEmpty).toBe(true)
    await input.pipeInput('a', 'x', 5)
    await input.pipeKeyValueList([
      ['b', 'x'],
      ['a', 'y'],
    ])
    expect(output.getQueueSize()).toBe(3)
    expect(output.readRecord()).toEqual({ key: 'a', value: 1, timestampMs: 5, headers: [] })
    expect(output.readKeyValue()).toEqual(['b', 1])
    expect(output.readValue()).toBe(2)
    expect(output.isEmpty).toBe(true)
    expect(() => output.readValue()).toThrow('nothing more was written to counts')
    expect(driver.getKeyValueStore(table).get('a')).toBe(2)
    expect(driver.getKeyValueStore(table).getTimed('a')).toEqual({ value: 2, timestampMs: 5 })
    expect(driver.getKeyValueStore('per-word').all()).toEqual([
      { key: 'a', value: 2, timestampMs: 5 },
      { key: 'b', value: 1, timestampMs: 0 },
    ])
    await driver.close()
  })

  test('with emit per commit, what one record brings of a key comes out once (X1)', async () => {
    const builder = new StreamsBuilder('app')
    builder
      .stream(words)
      .flatMapValues((text) => text.split(' '))
      .groupByKey()
      .count('per-key', { emit: 'per-commit' })
      .toStream()
      .to(counts)
    const driver = new TopologyTestDriver(builder.build())
    const input = driver.createInputTopic(words)
    await input.pipeInput('a', 'x y z', 1)
    await input.pipeInput('a', 'x', 2)
    expect(driver.createOutputTopic(counts).readKeyValuesToList()).toEqual([
      ['a', 3],
      ['a', 4],
    ])
    await driver.close()
  })

  test('calls that are not awaited one by one take their turns', async () => {
    const { topology } = counting()
    const driver = new TopologyTestDriver(topology)
    const input = driver.createInputTopic(words)
    await Promise.all(['x', 'y', 'z'].map((value) => input.pipeInput('a', value)))
    expect(driver.createOutputTopic(counts).readValuesToList()).toEqual([1, 2, 3])
  })

  test('an input topic’s own time moves on as it is told to', async () => {
    const driver = new TopologyTestDriver(counting().topology, { initialWallClockMs: 500 })
    const input = driver.createInputTopic(words, { advanceMs: 10 })
    const output = driver.createOutputTopic(counts)
    await input.pipeValueList(['no key', 'is dropped'])
    input.advanceTime(100)
    await input.pipeKeyValueList([
      ['a', '1'],
      ['b', '2'],
    ])
    await input.pipeInput({ key: 'c', value: '3', headers: [['h', null]] })
    const read = output.readRecordsToList()
    expect(read.map(({ timestampMs }) => timestampMs)).toEqual([620, 630, 640])
    expect(read[2]?.headers).toEqual([['h', null]])
    expect(driver.droppedRecords).toBe(2)
  })

  test('records go through repartition topics, and every topic’s bytes can be read', async () => {
    const builder = new StreamsBuilder('app')
    builder
      .stream(words)
      .groupBy('by-value', (value) => value)
      .count('per-value')
      .toStream()
      .to(counts)
    const driver = new TopologyTestDriver(builder.build())
    const input = driver.createInputTopic(words)
    await input.pipeKeyValueList([
      ['1', 'x'],
      ['2', 'y'],
      ['3', 'x'],
    ])
    const latest = driver.createOutputTopic(counts).readKeyValuesToMap()
    expect(latest).toEqual(
      new Map([
        ['x', 2],
        ['y', 1],
      ]),
    )
    expect(driver.producedTopicNames()).toEqual([
      'app-by-value-repartition',
      'app-per-value-changelog',
      'counts',
    ])
    const repartitioned = driver.producedRecords('app-by-value-repartition')
    expect(repartitioned.map(({ offset, key }) => [offset, String(key && [...key])])).toEqual([
      [0, '120'],
      [1, '121'],
      [2, '120'],
    ])
  })

  test('a topic that is both written and read comes round', async () => {
    const builder = new StreamsBuilder('app')
    builder
      .stream(texts)
      .filter((value) => value.length < 4)
      .mapValues((value) => `${value}!`)
      .to(texts)
    const driver = new TopologyTestDriver(builder.build())
    await driver.createInputTopic(texts).pipeInput('k', 'a')
    expect(driver.createOutputTopic(texts).readValuesToList()).toEqual(['a!', 'a!!', 'a!!!'])
  })

  test('the wall clock moves when it is told to, and what is due by it fires once', async () => {
    class Ticking {
      init(context: ProcessorContext<string, string>): void {
        context.schedule(100, 'wall-clock', (nowMs) =>
          context.forward({ key: 't', value: `tick@${nowMs}`, timestampMs: nowMs, headers: [] }),
        )
      }
      process(_record: StreamRecord<string, string>): void {}
    }
    const builder = new StreamsBuilder('app')
    builder.stream(words).process('ticking', {}, Ticking).to(texts)
    const driver = new TopologyTestDriver(builder.build(), { initialWallClockMs: 1_000 })
    await driver.createInputTopic(words).pipeInput('a', 'x')
    const output = driver.createOutputTopic(texts)
    await driver.advanceWallClockTime(99)
    expect(output.isEmpty).toBe(true)
    await driver.advanceWallClockTime(350)
    expect(output.readValuesToList()).toEqual(['tick@1449'])
    expect(driver.clock.nowMs()).toBe(1_449)
  })

  test('silence closes windows that have an idle policy, 14 hours of it too', async () => {
    const builder = new StreamsBuilder('app')
    const table = builder
      .stream(words, { idle: { closeMs: 3_000 } })
      .groupByKey()
      .windowedBy(tumbling({ sizeMs: 60_000, graceMs: 5_000 }))
      .count('per-minute', { emit: 'on-close' })
    table
      .toStream()
      .map((count, { key }) => [key, count])
      .to(counts)
    const driver = new TopologyTestDriver(builder.build(), { initialWallClockMs: 7_000_000 })
    const output = driver.createOutputTopic(counts)
    await driver.createInputTopic(words).pipeInput('a', 'x', 30_000)
    expect(driver.getWindowStore(table).all()).toEqual([
      { key: 'a', value: 1, timestampMs: 30_000, windowStartMs: 0, windowEndMs: 60_000 },
    ])
    expect(driver.getWindowStore(table).get('a', 0)).toBe(1)
    await driver.advanceWallClockTime(34_000)
    expect(output.isEmpty).toBe(true)
    await driver.advanceWallClockTime(1_000)
    expect(output.readKeyValuesToList()).toEqual([['a', 1]])
    await driver.createInputTopic(words).pipeInput('a', 'x', 300_000)
    await driver.advanceWallClockTime(14 * 3_600_000)
    expect(output.readKeyValuesToList()).toEqual([['a', 1]])
  })

  test('a value kept in a store is frozen: changing it in place fails where it happens', async () => {
    const lists = store('lists', { key: string(), value: json(v.array(v.string())) })
    const builder = new StreamsBuilder('app')
    builder
      .stream(words)
      .processValues('append', { lists }, (value, stores, key) => {
        const list = stores.lists.get(key) ?? []
        list.push(value)
        stores.lists.put(key, list)
        return list.join('')
      })
      .to(texts)
    const driver = new TopologyTestDriver(builder.build())
    const input = driver.createInputTopic(words)
    await input.pipeInput('a', 'x')
    await expect(input.pipeInput('a', 'y')).rejects.toThrow(/task 0_0 at words-0 offset 1/)

    const lax = new TopologyTestDriver(builder.build(), { freezeValues: false })
    await lax.createInputTopic(words).pipeKeyValueList([
      ['a', 'x'],
      ['a', 'y'],
    ])
    expect(lax.createOutputTopic(texts).readValuesToList()).toEqual(['x', 'xy'])
  })

  test('a record that fails rejects its call, unless it is to be a dead letter', async () => {
    const builder = new StreamsBuilder('app')
    builder
      .stream(words)
      .mapValues((value) => {
        if (value === 'boom') throw new RangeError(value)
        return value
      })
      .to(texts)
    const strict = new TopologyTestDriver(builder.build())
    const failed = strict.createInputTopic(words).pipeInput('a', 'boom')
    await expect(failed).rejects.toMatchObject({ code: 'PROCESSING_FAILED' })

    const driver = new TopologyTestDriver(builder.build(), { onProcessingError: 'dead-letter' })
    await driver.createInputTopic(words).pipeKeyValueList([
      ['a', 'boom'],
      ['a', 'x'],
    ])
    expect(driver.createOutputTopic(texts).readValuesToList()).toEqual(['x'])
    expect(driver.producedRecords('app-dead-letters')).toHaveLength(1)
    expect(driver.droppedRecords).toBe(1)
  })

  test('over all tasks the record with the lowest timestamp goes first', async () => {
    const builder = new StreamsBuilder('app')
    builder
      .stream(words)
      .flatMap((value, key) => [
        [value, `${key}1`],
        [value, `${key}2`],
      ])
      .repartition('again')
      .merge(builder.stream(texts))
      .mapValues((value) => value)
      .groupByKey()
      .reduce('joined', (sum, value) => `${sum}${value}`)
      .toStream()
      .to(topic('joined', { key: string(), value: string() }))
    const driver = new TopologyTestDriver(builder.build())
    await driver.createInputTopic(words).pipeInput('a', 'k', 9)
    await driver.createInputTopic(texts).pipeInput('k', 'b', 3)
    const joined = topic('joined', { key: string(), value: string() })
    expect(driver.createOutputTopic(joined).readValuesToList()).toEqual(['a1', 'a1a2', 'a1a2b'])
  })
})
