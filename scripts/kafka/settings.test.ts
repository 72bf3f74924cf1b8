import { expect, test } from 'bun:test'
import { listenersOf } from './listeners.ts'
import { addresses, initialControllers, serverProperties } from './settings.ts'
import type { ClusterPlan } from './settings.ts'

function plan(count: number, sasl = false, tls = false): ClusterPlan {
  const listeners = listenersOf({ sasl, tls })
  const brokers = Array.from({ length: count }, (_, index) => ({
    id: index + 1,
    directoryId: `directory-${index + 1}`,
    ports: Object.fromEntries(listeners.map((name, at) => [name, 1_000 * (index + 1) + at])),
  }))
  return { clusterId: 'cluster', sasl, tls, brokers, settings: { 'num.partitions': '7' } }
}

function properties(of: ClusterPlan): Map<string, string> {
  const [broker] = of.brokers
  if (broker === undefined) throw new Error('no broker')
  const lines = serverProperties(of, broker, '/data', '/security').trim().split('\n')
  return new Map(
    lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  )
}

test('three brokers keep three replicas of everything and acknowledge with two; one keeps one', () => {
  const replicas = ['default', 'offsets.topic', 'transaction.state.log'] as const
  for (const [brokers, copies, isr] of [
    [3, '3', '2'],
    [1, '1', '1'],
  ] as const) {
    const settings = properties(plan(brokers))
    for (const what of replicas) expect(settings.get(`${what}.replication.factor`)).toBe(copies)
    expect(settings.get('min.insync.replicas')).toBe(isr)
    expect(settings.get('transaction.state.log.min.isr')).toBe(isr)
  }
})

test('listeners are there only when asked for, and every one has an address', () => {
  expect(properties(plan(1)).get('listeners')).toBe(
    'PLAINTEXT://127.0.0.1:1000,CONTROLLER://127.0.0.1:1001',
  )
  const all = plan(2, true, true)
  expect(addresses(all, 'MTLS')).toBe('127.0.0.1:1004,127.0.0.1:2004')
  expect(addresses(plan(2, true), 'MTLS')).toBeUndefined()
  expect(properties(all).get('listener.name.mtls.ssl.client.auth')).toBe('required')
  expect(properties(plan(1)).has('authorizer.class.name')).toBe(false)
  expect(initialControllers(all)).toBe('1@127.0.0.1:1001:directory-1,2@127.0.0.1:2001:directory-2')
})

test("a caller's setting replaces ours", () => {
  expect(properties(plan(1)).get('num.partitions')).toBe('7')
})

test('who comes by the proxied listener is sent to the proxy, and nobody else is', () => {
  const [broker] = plan(1).brokers
  if (broker === undefined) throw new Error('no broker')
  const proxied = { ...broker, ports: { ...broker.ports, PROXIED: 1_900 }, proxyPort: 1_901 }
  const settings = properties({ ...plan(1), proxied: true, brokers: [proxied] })
  expect(settings.get('listeners')).toContain('PROXIED://127.0.0.1:1900')
  expect(settings.get('advertised.listeners')).toBe(
    'PLAINTEXT://127.0.0.1:1000,PROXIED://127.0.0.1:1901',
  )
  expect(properties(plan(1)).has('advertised.listeners')).toBe(false)
})
