/** What has failed once never does again. */
import { expect, test } from 'bun:test'
import { readKeptSeeds, simulate } from '../index.ts'
import { SIMULATED } from '../test-helper/simulated-topologies.ts'
import { keptLine } from './kept-seed.ts'

const FILE = new URL('./regressions.txt', import.meta.url)

test('every kept seed holds', async () => {
  for (const { name, options } of readKeptSeeds(await Bun.file(FILE).text())) {
    const found = SIMULATED.find((application) => application.name === name)
    if (found === undefined) throw new RangeError(`no application ${name}`)
    const { violations } = await simulate(found.topology, { ...found.options, ...options })
    expect([name, options.seed, violations]).toEqual([name, options.seed, []])
  }
})

test('a kept line reads as what was written', () => {
  const kept = {
    name: 'counting',
    options: { seed: 7, members: 2, inputs: 9, steps: 100, faults: ['crash', 'pause'] as const },
  }
  expect(readKeptSeeds(`# of old\n\n${keptLine(kept, 'outputs: one too many')}\n`)).toEqual([kept])
  expect(() => readKeptSeeds('counting 7 faults=rain')).toThrow('line 1: rain is a fault')
  expect(() => readKeptSeeds('counting seven')).toThrow('line 1 has a seed')
})
