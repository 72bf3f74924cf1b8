import { describe, expect, test } from 'bun:test'
import { createMemoryLog } from '#log/memory'
import { RUNTIME_FAILPOINTS } from './runtime-failpoints.ts'
import { Streams } from './streams.ts'
import { appendTexts } from './test-helpers/log-texts.ts'
import { string, StreamsBuilder, topic, tumbling, type Topology } from '#topology'

const words = topic('words', { key: string(), value: string() })

/** Two stores in one task, so that one applies after the other, and windows that close in silence. */
function topology(): Topology {
  const builder = new StreamsBuilder('failing')
  const grouped = builder.stream(words, { idle: { closeMs: 20 } }).groupByKey()
  grouped.count('counts')
  grouped.windowedBy(tumbling({ sizeMs: 10, graceMs: 0 })).count('windows', { emit: 'on-close' })
  return builder.build()
}

describe('RUNTIME_FAILPOINTS', () => {
  test('are all passed by a run that processes, closes a window, restores and stops', async () => {
    const passed = new Set<string>()
    const log = createMemoryLog()
    const createTopics = [{ topic: 'words', partitions: 1, config: {} }]
    const options = { log, backend: 'memory', createTopics } as const
    const failpoint = (name: string): void => void passed.add(name)
    const first = new Streams(topology(), { ...options, failpoint })
    await first.start()
    await appendTexts(log, 'words', [['a', 'x', Date.now()]])
    while (!passed.has('runtime:window-close')) await Bun.sleep(5)
    await first.close({ leave: true })
    // In memory the stores are gone with the handle, so this one restores.
    const second = new Streams(topology(), { ...options, failpoint })
    await second.start()
    await second.close({ leave: true })
    expect([...passed].sort()).toEqual([...RUNTIME_FAILPOINTS].sort())
  })
})
