/** `notifications`: one record for each outcome, keyed by the user (design, section 11). */
import { expect, test } from 'bun:test'
import { TopologyTestDriver } from '#millrace/testing'
import { notificationsTopology } from './notifications.ts'
import { START_MS } from './test-helper/records.ts'
import { inventoryEvents, notifications } from './topics.ts'

const utf8 = new TextEncoder()

function outcome(order_id: string, status: 'reserved' | 'failed', user: string | undefined) {
  const event = status === 'reserved' ? 'InventoryReserved' : 'InventoryFailed'
  return {
    key: 'soup',
    value: { order_id, item_id: 'soup', qty: 2, status, timestamp: START_MS },
    timestampMs: START_MS + 3,
    headers: [
      ['event', utf8.encode(event)] as const,
      ...(user === undefined ? [] : [['user_id', utf8.encode(user)] as const]),
    ],
  }
}

test('each outcome is told once, to its user, at its time', async () => {
  const driver = new TopologyTestDriver(notificationsTopology, { initialWallClockMs: START_MS })
  const events = driver.createInputTopic(inventoryEvents)
  const told = driver.createOutputTopic(notifications)
  await events.pipeInput(outcome('o1', 'reserved', 'ann'))
  await events.pipeInput(outcome('o2', 'failed', 'bob'))
  await events.pipeInput(outcome('o3', 'reserved', 'ann'))
  const all = told.readRecordsToList()
  const note = { item_id: 'soup', qty: 2, timestamp: START_MS }
  expect(all.map(({ key, value }) => [key, value])).toEqual([
    ['ann', { ...note, order_id: 'o1', user_id: 'ann', status: 'reserved' }],
    ['bob', { ...note, order_id: 'o2', user_id: 'bob', status: 'failed' }],
    ['ann', { ...note, order_id: 'o3', user_id: 'ann', status: 'reserved' }],
  ])
  expect(all.every(({ timestampMs }) => timestampMs === START_MS + 3)).toBe(true)
})

test('an outcome that names no user is told to nobody', async () => {
  const driver = new TopologyTestDriver(notificationsTopology, { initialWallClockMs: START_MS })
  const events = driver.createInputTopic(inventoryEvents)
  const told = driver.createOutputTopic(notifications)
  await events.pipeInput(outcome('o1', 'reserved', undefined))
  await events.pipeInput(outcome('o2', 'reserved', 'ann'))
  expect(told.readRecordsToList().map(({ value }) => value?.order_id)).toEqual(['o2'])
})
