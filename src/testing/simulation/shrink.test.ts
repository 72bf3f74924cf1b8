import { expect, test } from 'bun:test'
import { long, string, StreamsBuilder, topic } from '#topology'
import { inputTo, shrinkSimulation, type SimulationOptions } from '../index.ts'

const words = topic('words', { key: string(), value: string() })
const numbers = topic('numbers', { key: string(), value: long() })

/** Numbers its records from 1, in a variable instead of a store: any run that has three of them fails. */
function miscounting(): ReturnType<StreamsBuilder['build']> {
  const builder = new StreamsBuilder('miscounting')
  builder
    .stream(words)
    .mapValues(() => 1)
    .to(numbers)
  return builder.build()
}

const options: SimulationOptions = {
  seed: 5,
  input: () => inputTo(words, 'a', 'x'),
  reference: () => {
    let taken = 0
    return {
      take() {
        taken += 1
        return [inputTo(numbers, 'a', taken < 3 ? 1 : taken)]
      },
    }
  },
}

test('a failing run shrinks to what is needed to fail, and the smaller one fails in the same way', async () => {
  const shrunk = await shrinkSimulation(miscounting(), options)
  expect(shrunk?.report.violations[0]?.check).toBe('reference')
  const { members, partitions, inputs, faults } = shrunk?.report.options ?? {}
  expect({ members, partitions, faults }).toEqual({ members: 1, partitions: 1, faults: {} })
  expect(inputs).toBe(3)
})

test('a run that holds has nothing to shrink', async () => {
  const { reference, ...held } = options
  expect(reference).toBeDefined()
  expect(await shrinkSimulation(miscounting(), held)).toBeUndefined()
})
