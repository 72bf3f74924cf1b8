/** The sender against brokers and a network that do everything wrong that they may. */
import { expect, test } from 'bun:test'

import { appendOf } from '../log.contract/records.ts'
import type { Appended, TopicPartition } from '../log.ts'
import { Sender } from './sender.ts'
import { ProducingBrokers } from './test-helpers/producing-brokers.ts'

const RUNS = 80
const APPENDS = 120

function seeded(seed: number): () => number {
  let state = seed
  return () => (state = (state * 16_807) % 2_147_483_647) / 2_147_483_647
}

interface Tried {
  readonly place: TopicPartition
  readonly values: readonly string[]
  readonly result: PromiseSettledResult<Appended>
}

/** Half of the runs have time for everything that gets lost; in the others much is given up. */
const isPatient = (seed: number): boolean => seed % 2 === 0

/** Also gives how many appends were acknowledged. */
async function run(
  seed: number,
): Promise<{ readonly brokers: ProducingBrokers; readonly acknowledged: number }> {
  const random = seeded(seed)
  const brokers = new ProducingBrokers(random, 0.05)
  const firstSequence = seed % 3 === 0 ? 2 ** 31 - 20 : 0
  const appendTimeoutMs = isPatient(seed) ? 600_000 : 2_000
  const options = { appendTimeoutMs, bufferBytesMax: 4_000, firstSequence }
  const sender = new Sender(brokers, options)
  const tried: Promise<Tried>[] = []
  for (let n = 0; n < APPENDS; n += 1) {
    const place = { topic: 'orders', partition: Math.floor(random() * 3) }
    const values = Array.from({ length: 1 + Math.floor(random() * 3) }, (_, at) => `${n}.${at}`)
    const appended = Promise.allSettled([sender.append(appendOf(place, values))])
    tried.push(appended.then(([result]) => ({ place, values, result })))
    if (random() < 0.2) await brokers.clock.turn()
    if (random() < 0.05) await Promise.race(tried.slice(-3))
  }
  const all = await Promise.all(tried)
  brokers.settle()
  let acknowledged = 0
  const lastOffset = new Map<number, number>()
  for (const { place, values, result } of all) {
    const written = brokers.values(place)
    for (const value of values) {
      const times = written.filter((each) => each === value).length
      expect(times).toBeLessThanOrEqual(1)
      if (result.status === 'rejected') {
        const { message, retriable } = result.reason as Error & { readonly retriable: boolean }
        expect(retriable).toBe(true)
        if (message.includes('nothing of it was written')) expect(times).toBe(0)
        else expect(message).toContain('may be in the log')
      }
    }
    if (result.status === 'rejected') continue
    acknowledged += 1
    const { baseOffset, count } = result.value
    expect(written.slice(baseOffset, baseOffset + count)).toEqual(values as string[])
    expect(baseOffset).toBeGreaterThan(lastOffset.get(place.partition) ?? -1)
    lastOffset.set(place.partition, baseOffset)
  }
  return { brokers, acknowledged }
}

test('acknowledged appends are whole, once and in call order, whatever happens on the way', async () => {
  const fired = new Map<string, number>()
  let given = 0
  for (let seed = 1; seed <= RUNS; seed += 1) {
    const { brokers, acknowledged } = await run(seed)
    if (isPatient(seed)) expect(acknowledged).toBe(APPENDS)
    given += APPENDS - acknowledged
    for (const [what, times] of brokers.fired) fired.set(what, (fired.get(what) ?? 0) + times)
  }
  const faults = [
    'init',
    'request',
    'late',
    'reply',
    'leader',
    'replicas',
    'slow replicas',
    'state',
  ]
  // What is given up has been tried, too.
  expect(given).toBeGreaterThan(APPENDS)
  expect([...fired.keys()].toSorted()).toEqual(faults.toSorted())
})
