/** Every vector of Kafka Streams that uses only what is built comes out the same, part by part. */
import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { compare } from './compare.ts'
import { loadScenarios } from './load.ts'
import { run } from './run.ts'
import { missingFor } from './support.ts'

const scenarios = await loadScenarios(join(import.meta.dir, '../../topology/golden'))
const supported = scenarios.filter((scenario) => missingFor(scenario).length === 0)
const areas = Map.groupBy(supported, ({ area }) => area)

describe('golden vectors', () => {
  test('all of them are there, and more than 500 are supported', () => {
    expect(scenarios.length).toBe(1805)
    expect(supported.length).toBeGreaterThan(500)
  })

  test.each([...areas])('%s', async (_area, chosen) => {
    const failed: string[] = []
    for (const scenario of chosen) {
      const found = compare(scenario, await run(scenario))
      if (found !== undefined) failed.push(`${scenario.name}: ${found.part}: ${found.difference}`)
    }
    expect(failed).toEqual([])
  })

  test('a wrong output, changelog, store, description or error is found', async () => {
    const scenario = supported.find(({ name }) => name === 'tumbling-count')
    if (scenario === undefined)
      throw new TypeError('the scenario this test plants faults in is gone')
    const observed = await run(scenario)
    expect(compare(scenario, observed)).toBeUndefined()
    const faults = {
      outputs: { out: observed.outputs['out']?.slice(1) ?? [] },
      changelogs: {},
      stores: { ws: [] },
      describe: `${observed.describe} `,
      droppedRecords: 1,
      internalTopicConfigs: {},
      error: { phase: 'run', step: 0, message: '' },
    }
    for (const [part, fault] of Object.entries(faults))
      expect(compare(scenario, { ...observed, [part]: fault })?.part).toStartWith(part)
  })
})
