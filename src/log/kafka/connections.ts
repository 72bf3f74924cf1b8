/**
 * The connections to the brokers: one a broker, purpose and lane, opened when it is first needed and again when it has failed.
 *
 * Invariant: a connection on which anything went wrong is never used again, and every exchange ends by its deadline.
 */
import type { Connection, ConnectionOptions } from '@platformatic/kafka'
import { type Clock, delay, jitteredBackoffMs, type Random } from '#system'

import { LogError } from '../log.ts'
import { connectionFailure } from './connection-failure.ts'
import { isConnectionError } from './errors.ts'
import type { BrokerAddress, KafkaOptions } from './kafka-options.ts'
import { client } from './client.ts'

/** Time-outs are ours, by the injected clock; the library's own, which it cannot do without, never comes. */
const NEVER_MS = 2 ** 31 - 1
const CONNECT_TIMEOUT_MS = 10_000
const RECONNECT = { baseMs: 50, maxMs: 1_000 }
/** The library queues what is beyond; how many are sensible is for each purpose to say. */
const IN_FLIGHT_MAX = 64

export interface ConnectionsOptions {
  readonly kafka: KafkaOptions
  readonly clock: Clock
  readonly random: Random
}

/** One connection's place: the connection in it changes. */
interface Slot {
  readonly key: string
  readonly lane: string
  address: BrokerAddress
  connection: Connection | undefined
  opening: Promise<Connection> | undefined
  /** Failures since the last answer: connecting alone proves nothing. */
  failures: number
  /** Not to be opened again before this point of `elapsedMs`. */
  notBeforeMs: number
}

export interface Destination {
  readonly address: BrokerAddress
  readonly purpose: string
  readonly lane: string
}

export class Connections {
  readonly #options: ConnectionsOptions
  readonly #slots: Map<string, Slot> = new Map()
  readonly #closing: AbortController = new AbortController()

  constructor(options: ConnectionsOptions) {
    this.#options = options
  }

  /** One exchange; LOG_UNAVAILABLE, retriable, if the connection fails or the time is up. */
  async call<T>(
    destination: Destination,
    timeoutMs: number,
    exchange: (connection: Connection) => Promise<T>,
  ): Promise<T> {
    const { clock } = this.#options
    const deadlineMs = clock.elapsedMs() + timeoutMs
    const slot = this.#slot(destination)
    const connection = slot.connection ?? (await this.#open(slot, deadlineMs))
    return this.#exchange(slot, connection, deadlineMs - clock.elapsedMs(), exchange)
  }

  /** Connects if need be, and no more: where that fails, nothing has been asked yet. */
  async connect(destination: Destination, timeoutMs: number): Promise<void> {
    const slot = this.#slot(destination)
    if (slot.connection !== undefined) return
    await this.#open(slot, this.#options.clock.elapsedMs() + timeoutMs)
  }

  /** How far an exchange is: 0 on an open connection, more where one has to be made, most where that has failed. */
  distance(destination: Destination): number {
    const slot = this.#slots.get(slotKey(destination))
    if (slot?.connection !== undefined) return 0
    return 1 + (slot?.failures ?? 0)
  }

  closeLane(lane: string): void {
    for (const slot of this.#slots.values()) {
      if (slot.lane !== lane) continue
      this.#retire(slot, slot.connection)
      this.#slots.delete(slot.key)
    }
  }

  close(): void {
    this.#closing.abort()
    for (const slot of this.#slots.values()) this.#retire(slot, slot.connection)
    this.#slots.clear()
  }

  #slot(destination: Destination): Slot {
    if (this.#closing.signal.aborted) throw new LogError('LOG_CLOSED', 'the log is closed')
    const key = slotKey(destination)
    const { address, lane } = destination
    const found = this.#slots.get(key)
    if (found !== undefined) return found
    const made: Slot = {
      key,
      lane,
      address,
      connection: undefined,
      opening: undefined,
      failures: 0,
      notBeforeMs: 0,
    }
    this.#slots.set(key, made)
    return made
  }

  /** Connects once for everybody who waits; who waits longer than it may goes without. */
  #open(slot: Slot, deadlineMs: number): Promise<Connection> {
    slot.opening ??= this.#connect(slot).finally(() => (slot.opening = undefined))
    const opening = slot.opening
    const { clock } = this.#options
    return new Promise((resolve, reject) => {
      const cancel = clock.after(Math.max(0, deadlineMs - clock.elapsedMs()), () =>
        reject(timedOut(slot.address, 'connect')),
      )
      opening.then(resolve, reject).finally(cancel)
    })
  }

  async #connect(slot: Slot): Promise<Connection> {
    const { clock, kafka } = this.#options
    const { host, port } = slot.address
    const waitMs = slot.notBeforeMs - clock.elapsedMs()
    if (waitMs > 0) await delay(clock, waitMs, this.#closing.signal)
    this.#assertOpen(slot)
    const connection = new client.Connection(kafka.clientId ?? 'millrace', {
      ...securityOptions(kafka),
      connectTimeout: CONNECT_TIMEOUT_MS,
      requestTimeout: NEVER_MS,
      maxInflights: IN_FLIGHT_MAX,
    })
    // Without a listener an error of the socket would end the process; what it means shows in what is under way.
    connection.on('error', () => this.#retire(slot, connection))
    connection.on('close', () => this.#retire(slot, connection))
    try {
      const connected = Promise.resolve(connection.connect(host, port))
      connection.socket?.on('error', () => {})
      await connected
    } catch (error) {
      this.#failed(slot)
      this.#retire(slot, connection)
      throw connectionFailure(error, slot.address, kafka)
    }
    try {
      this.#assertOpen(slot)
    } catch (error) {
      destroy(connection)
      throw error
    }
    slot.connection = connection
    return connection
  }

  #exchange<T>(
    slot: Slot,
    connection: Connection,
    timeoutMs: number,
    exchange: (connection: Connection) => Promise<T>,
  ): Promise<T> {
    const { clock, kafka } = this.#options
    return new Promise((resolve, reject) => {
      const cancel = clock.after(Math.max(0, timeoutMs), () => {
        // What comes back now would come to nobody, and a frozen broker is noticed in no other way.
        this.#failed(slot)
        this.#retire(slot, connection)
        reject(timedOut(slot.address, 'answer'))
      })
      exchange(connection).then(
        (answer) => {
          cancel()
          slot.failures = 0
          resolve(answer)
        },
        (error: unknown) => {
          cancel()
          if (!isConnectionError(error)) return reject(error)
          this.#failed(slot)
          this.#retire(slot, connection)
          reject(connectionFailure(error, slot.address, kafka))
        },
      )
    })
  }

  #failed(slot: Slot): void {
    const { clock, random } = this.#options
    slot.notBeforeMs = clock.elapsedMs() + jitteredBackoffMs(random, slot.failures, RECONNECT)
    slot.failures = Math.min(slot.failures + 1, 10)
  }

  #retire(slot: Slot, connection: Connection | undefined): void {
    if (slot.connection === connection) slot.connection = undefined
    if (connection !== undefined) destroy(connection)
  }

  #assertOpen(slot: Slot): void {
    if (this.#closing.signal.aborted) throw new LogError('LOG_CLOSED', 'the log is closed')
    if (this.#slots.get(slot.key) !== slot) throw new LogError('LOG_CLOSED', 'it is closed')
  }
}

function slotKey({ address, purpose, lane }: Destination): string {
  return `${address.host}:${address.port} ${purpose} ${lane}`
}

/** At once: a polite close would wait for a broker that may be frozen. */
function destroy(connection: Connection): void {
  // Ends the library's timer of a connection that is still being made.
  void connection.close().catch(() => {})
  connection.socket?.destroy()
}

function timedOut({ host, port }: BrokerAddress, what: 'connect' | 'answer'): LogError {
  return new LogError('LOG_UNAVAILABLE', `${host}:${port} did not ${what} in time`, {
    retriable: true,
  })
}

/** The options in the client library's words. */
function securityOptions({ tls, sasl }: KafkaOptions): ConnectionOptions {
  const options: ConnectionOptions = {}
  if (tls !== undefined) {
    options.tls = {}
    if (tls.ca !== undefined) options.tls.ca = tls.ca
    if (tls.cert !== undefined) options.tls.cert = tls.cert
    if (tls.key !== undefined) options.tls.key = tls.key
    if (tls.keyPassword !== undefined) options.tls.passphrase = tls.keyPassword
    if (tls.serverName !== undefined) options.tlsServerName = tls.serverName
  }
  if (sasl !== undefined) options.sasl = { ...sasl }
  return options
}
