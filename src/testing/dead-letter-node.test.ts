/** A dead letter names the operator whose doing it was. */
import { describe, expect, test } from 'bun:test'
import { string, StreamsBuilder, topic, type KStream } from '#topology'
import { TopologyTestDriver } from './topology-test-driver.ts'

const words = topic('words', { key: string(), value: string() })
const out = topic('out', { key: string(), value: string() })

function boomed(text: string): string {
  if (text === 'boom') throw new RangeError(text)
  return text
}

/** The node that the dead letter of `boom` names. */
async function blamed(build: (stream: KStream<string, string>) => void): Promise<string> {
  const builder = new StreamsBuilder('app')
  build(builder.stream(words))
  const driver = new TopologyTestDriver(builder.build(), { onProcessingError: 'dead-letter' })
  await driver.createInputTopic(words).pipeInput('k', 'boom', 1)
  const letters = driver.producedRecords('app-dead-letters')
  expect(letters).toHaveLength(1)
  const named = letters[0]?.headers.find(([name]) => name === 'millrace-node')?.[1]
  return new TextDecoder().decode(named ?? new Uint8Array())
}

const same = (value: string): string => value

describe('the node in a dead letter is the one', () => {
  test('whose function threw, however far down', async () => {
    const build = (stream: KStream<string, string>): void =>
      stream.mapValues(same).mapValues(boomed).mapValues(same).to(out)
    expect(await blamed(build)).toBe('KSTREAM-MAPVALUES-0000000002')
  })

  test('that goes on after what is below it has returned', async () => {
    const build = (stream: KStream<string, string>): void =>
      stream
        .flatMapValues(function* (value) {
          yield 'first'
          yield boomed(value)
        })
        .mapValues(same)
        .to(out)
    expect(await blamed(build)).toBe('KSTREAM-FLATMAPVALUES-0000000001')
  })

  test('that aggregates', async () => {
    const build = (stream: KStream<string, string>): void =>
      stream
        .mapValues(same)
        .groupByKey()
        .aggregate(
          'joined',
          () => '',
          (joined, value) => joined + boomed(value),
        )
        .toStream()
        .to(out)
    expect(await blamed(build)).toBe('KSTREAM-AGGREGATE-0000000002')
  })
})
