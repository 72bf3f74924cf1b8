import { systemClock as clock, systemRandom, type Random } from '#system'
import { metadataV12 } from '@platformatic/kafka'
import { afterEach, beforeEach, expect, test } from 'bun:test'

import { coded } from '../log.contract/harness.ts'
import { Connections } from './connections.ts'

type Exchange = Parameters<Connections['call']>[2]

/** A broker that takes every request and answers none, as a frozen one does. */
interface SilentBroker {
  readonly port: number
  /** Connections made so far, and those still open. */
  readonly made: number
  readonly open: number
  /** Resolves with the next request. */
  asked(): Promise<void>
  /** Ends every connection. */
  hangUp(): void
  stop(): void
}

function silentBroker(): SilentBroker {
  const sockets = new Set<Bun.Socket>()
  let made = 0
  let ask = Promise.withResolvers<void>()
  const server = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      open(socket) {
        made += 1
        sockets.add(socket)
      },
      close: (socket) => void sockets.delete(socket),
      data() {
        ask.resolve()
        ask = Promise.withResolvers<void>()
      },
    },
  })
  return {
    port: server.port,
    get made() {
      return made
    },
    get open() {
      return sockets.size
    },
    asked: () => ask.promise,
    hangUp: () => {
      for (const socket of sockets) socket.end()
    },
    stop: () => server.stop(true),
  }
}

const LONG_MS = 60_000
/** No back-off: a wait that is drawn could take up all the time that a second exchange has. */
const random: Random = { ...systemRandom, next: () => 0 }
const ask: Exchange = (connection) => metadataV12.api.async(connection, [], false, false)
const unavailable = expect.objectContaining({ code: 'LOG_UNAVAILABLE', retriable: true })

let broker: SilentBroker
let connections: Connections
beforeEach(() => {
  broker = silentBroker()
  connections = new Connections({ kafka: { brokers: [] }, clock, random })
})
afterEach(() => {
  connections.close()
  broker.stop()
})

const to = (purpose: string, lane: string = '') => ({
  address: { host: '127.0.0.1', port: broker.port },
  purpose,
  lane,
})

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await Bun.sleep(1)
}

test('an exchange that is not answered in time fails, and its connection is not used again', async () => {
  await expect(connections.call(to('admin'), 50, ask)).rejects.toEqual(unavailable)
  await until(() => broker.open === 0)
  await expect(connections.call(to('admin'), 50, ask)).rejects.toEqual(unavailable)
  expect(broker.made).toBe(2)
})

test('a connection that ends fails what is under way on it, at once', async () => {
  const asked = broker.asked()
  const failing = connections.call(to('admin'), LONG_MS, ask)
  await asked
  broker.hangUp()
  await expect(failing).rejects.toEqual(unavailable)
  await expect(failing).rejects.toThrow('closed the connection')
})

test('an exchange that fails for another reason leaves the connection as it is', async () => {
  const failure = new TypeError('of the exchange')
  const failing = connections.call(to('admin'), LONG_MS, () => Promise.reject(failure))
  await expect(failing).rejects.toBe(failure)
  expect(await connections.call(to('admin'), LONG_MS, async () => 'same')).toBe('same')
  expect([broker.made, broker.open]).toEqual([1, 1])
})

test('purposes and lanes have a connection each, shared by their exchanges', async () => {
  const nothing = async (): Promise<void> => {}
  await Promise.all([
    connections.call(to('fetch'), LONG_MS, nothing),
    connections.call(to('fetch'), LONG_MS, nothing),
    connections.call(to('produce'), LONG_MS, nothing),
    connections.call(to('fetch', 'mine'), LONG_MS, nothing),
  ])
  expect(broker.made).toBe(3)
  connections.closeLane('mine')
  await until(() => broker.open === 2)
  await connections.call(to('fetch'), LONG_MS, nothing)
  expect(broker.made).toBe(3)
})

test('a lane that is closed fails what is under way on it, and nothing else', async () => {
  const asked = broker.asked()
  const failing = connections.call(to('fetch', 'mine'), LONG_MS, ask)
  await asked
  connections.closeLane('mine')
  await expect(failing).rejects.toEqual(unavailable)
})

test('closed, they fail what is under way, and take no more', async () => {
  const asked = broker.asked()
  const failing = connections.call(to('fetch'), LONG_MS, ask)
  await asked
  connections.close()
  await expect(failing).rejects.toEqual(unavailable)
  await expect(connections.call(to('fetch'), LONG_MS, ask)).rejects.toEqual(coded('LOG_CLOSED'))
})

test('a broker that nobody answers for is LOG_UNAVAILABLE, and farther than one not tried yet', async () => {
  broker.stop()
  const gone = to('admin')
  await expect(connections.call(gone, LONG_MS, ask)).rejects.toEqual(unavailable)
  await expect(connections.call(gone, LONG_MS, ask)).rejects.toEqual(unavailable)
  expect(connections.distance(gone)).toBeGreaterThan(connections.distance(to('fetch')))
})
