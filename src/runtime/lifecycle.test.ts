import { describe, expect, test } from 'bun:test'
import { AssertionError, noObserver, type Happening } from '#system'
import { createMemoryLog } from '#log/memory'
import { string, StreamsBuilder, topic, type Topology } from '#topology'
import { nextStreamsState } from './streams-state.ts'
import { Streams } from './streams.ts'
import { TaskLifecycle } from './task-lifecycle.ts'
import { appendTexts } from './test-helpers/log-texts.ts'

describe('the life of a task', () => {
  test('goes created → restoring → running → closed, and tells each step', () => {
    const seen: Happening[] = []
    const life = new TaskLifecycle('app', '0_0', (happening) => void seen.push(happening))
    for (const state of ['restoring', 'running', 'suspended', 'running', 'closed'] as const) {
      life.step(state)
    }
    expect(seen.map((happening) => 'state' in happening && happening.state)).toEqual([
      'restoring',
      'running',
      'suspended',
      'running',
      'closed',
    ])
  })

  test('an illegal step is asserted', () => {
    const life = new TaskLifecycle('app', '0_0', noObserver)
    expect(() => life.step('running')).toThrow(AssertionError)
    life.step('closed')
    for (const state of ['restoring', 'running', 'suspended', 'closed'] as const) {
      expect(() => life.step(state)).toThrow(AssertionError)
    }
  })
})

const words = topic('words', { key: string(), value: string() })
const copies = topic('copies', { key: string(), value: string() })

function copying(map: (value: string) => string): Topology {
  const builder = new StreamsBuilder('copying')
  builder.stream(words).mapValues(map).to(copies)
  return builder.build()
}

const createTopics = ['words', 'copies'].map((name) => ({
  topic: name,
  partitions: 1,
  config: {},
}))

describe('the life of a Streams handle', () => {
  test('goes created → rebalancing → running → pending-shutdown → not-running', async () => {
    const log = createMemoryLog()
    const streams = new Streams(copying(String), { log, backend: 'memory', createTopics })
    const states: string[] = [streams.state]
    streams.on('state', ({ to }) => void states.push(to))
    await streams.start()
    await streams.close()
    await streams.close()
    expect(states).toEqual(['created', 'rebalancing', 'running', 'pending-shutdown', 'not-running'])
    expect(() => nextStreamsState('not-running', 'running')).toThrow(AssertionError)
  })

  test('closed before it was started, or while it starts, ends', async () => {
    const log = createMemoryLog()
    const never = new Streams(copying(String), { log, backend: 'memory', createTopics })
    await never.close()
    expect(never.state).toBe('not-running')
    const early = new Streams(copying(String), { log, backend: 'memory', createTopics })
    const starting = early.start()
    await early.close({ leave: true })
    await starting
    expect(early.state).toBe('not-running')
  })

  test('an error that only a person can mend ends in `error`, with what came before committed', async () => {
    const log = createMemoryLog()
    const streams = new Streams(
      copying((value) => {
        if (value === 'bad') throw new TypeError('cannot be copied')
        return value
      }),
      { log, backend: 'memory', createTopics, onProcessingError: 'stop' },
    )
    await streams.start()
    const { promise: failed, resolve } = Promise.withResolvers<unknown>()
    streams.on('failed', ({ error }) => resolve(error))
    await appendTexts(log, 'words', [
      ['k', 'good'],
      ['k', 'good'],
      ['k', 'bad'],
      ['k', 'good'],
    ])
    expect(await failed).toMatchObject({ code: 'PROCESSING_FAILED', at: { offset: 2 } })
    expect(streams.state).toBe('error')
    await streams.close()
    expect(streams.state).toBe('error')
    expect(await log.endOffset({ topic: 'copies', partition: 0 }, 'read-committed')).toBe(2)
    const [lag] = await streams.lag()
    expect(lag?.committed).toBe(2)
  })

  test('a start that fails rejects, and leaves nothing behind', async () => {
    const log = createMemoryLog()
    const streams = new Streams(copying(String), { log, backend: 'memory' })
    await expect(streams.start()).rejects.toMatchObject({ code: 'TOPIC_UNKNOWN' })
    expect(streams.state).toBe('error')
    expect(await log.describeTopics()).toEqual([])
    await streams.close()
  })
})
