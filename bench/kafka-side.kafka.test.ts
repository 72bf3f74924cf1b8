import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { kafkaForTests } from '#kafka-for-tests'
import { createTopic } from '#kafka-for-tests/tools'
import { runSide, type SideOrder } from './kafka-side.ts'
import { ordersFrom, withRepeats } from './orders.ts'
import { loadPeerInput, runPeer, type PeerCheck } from './peers/kafka-streams/peer.ts'

const kafka = await kafkaForTests()
const folder = mkdtempSync(join(tmpdir(), 'millrace-sides-'))
afterAll(() => rmSync(folder, { recursive: true }))

const bootstrap = kafka?.bootstrap ?? ''
const input = `side-orders-${Bun.randomUUIDv7()}`
const ORDERS = 2_000
const REPEATED_EACH = 10

async function outcome(
  side: SideOrder['side'],
  program: Exclude<SideOrder['program'], 'restore'>,
): Promise<PeerCheck> {
  const app = `side-${Bun.randomUUIDv7()}`
  const output = `${app}-output`
  await createTopic({ bootstrap, topic: output, partitions: 4 })
  const state = join(folder, app)
  const report = await runSide({ side, program, bootstrap, app, input, output, state })
  expect(report).toMatchObject({ records: ORDERS })
  expect(report.cpuUserMs).toBeGreaterThan(0)
  return runPeer('check', { bootstrap, topic: output })
}

describe.skipIf(kafka === undefined)('sides on a real broker', () => {
  test('the engine and the loop do the same work, and per commit the last counts are the same', async () => {
    const orders = withRepeats(ordersFrom(0, ORDERS), REPEATED_EACH)
    await loadPeerInput({ bootstrap, topic: input, orders })
    for (const program of ['count', 'reserve', 'reserve-dedupe'] as const) {
      const engine = await outcome('engine', program)
      expect(engine).toEqual(await outcome('loop', program))
      if (program === 'reserve-dedupe') expect(engine.records).toBeLessThan(ORDERS)
      else expect(engine.records).toBe(ORDERS)
      if (program !== 'count') continue
      const held = await outcome('engine', 'count-per-commit')
      expect(held.fold).toBe(engine.fold)
      expect(held.records).toBeLessThan(ORDERS)
    }
  }, 300_000)
})
