import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { kafkaForTests } from '#kafka-for-tests'
import { createTopic } from '#kafka-for-tests/tools'
import { ordersFrom, withRepeats } from '../../orders.ts'
import {
  loadPeerInput,
  runPeer,
  type PeerCheck,
  type PeerOptions,
  type PeerProgram,
} from './peer.ts'

const kafka = await kafkaForTests()
const folder = mkdtempSync(join(tmpdir(), 'millrace-peer-'))
afterAll(() => rmSync(folder, { recursive: true }))

const ORDERS = 3_000
const REPEATED_EACH = 10
const bootstrap = kafka?.bootstrap ?? ''
const run = Bun.randomUUIDv7()

async function outcome(
  mode: PeerProgram,
  input: string,
  options: PeerOptions,
): Promise<{ readonly read: number; readonly check: PeerCheck }> {
  const app = `peer-${Bun.randomUUIDv7()}`
  const output = `${app}-output`
  await createTopic({ bootstrap, topic: output, partitions: 4 })
  const state = join(folder, app)
  const places = { bootstrap, app, input, output, state }
  const { records, cpuUserMs } = await runPeer(mode, { ...places, ...options })
  expect(cpuUserMs).toBeGreaterThan(0)
  return { read: records, check: await runPeer('check', { bootstrap, topic: output }) }
}

describe.skipIf(kafka === undefined)('Kafka Streams as a peer', () => {
  test('counts the same with its cache on and off, and forwards every update only when it is off', async () => {
    const topic = `peer-orders-${run}`
    await loadPeerInput({ bootstrap, topic, orders: ordersFrom(0, ORDERS) })
    const off = await outcome('count', topic, { cache: 'off' })
    const on = await outcome('count', topic, { cache: 'on' })
    expect([off.read, on.read]).toEqual([ORDERS, ORDERS])
    expect(off.check).toMatchObject({ records: ORDERS, sumOfLast: ORDERS })
    expect(on.check.records).toBeLessThan(ORDERS)
    expect(on.check.fold).toBe(off.check.fold)
  }, 120_000)

  test('reserves every order once with dedupe, and every record without', async () => {
    const topic = `peer-repeats-${run}`
    const orders = [...withRepeats(ordersFrom(0, ORDERS), REPEATED_EACH)]
    await loadPeerInput({ bootstrap, topic, orders })
    const ids = new Set(orders.map(({ order_id }) => order_id))
    expect(ids.size).toBeLessThan(ORDERS)
    const once = await outcome('reserve', topic, { dedupe: true })
    const each = await outcome('reserve', topic, {})
    expect([once.check.records, each.check.records]).toEqual([ids.size, ORDERS])
  }, 120_000)
})
