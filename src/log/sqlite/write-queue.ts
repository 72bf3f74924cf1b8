/**
 * Requests that wait for the writer connection, and the loop that takes them, a group at a time.
 *
 * Whatever arrives while the loop waits for its turn of the event loop, or while a sync blocks the thread, shares the next
 * transaction: a lone request waits for nothing, a crowd pays for one sync.
 *
 * Invariant: requests are carried out in the order they came.
 */
import type { Clock, Failpoint, Random } from '#system'

import { LogError } from '../log.ts'
import type { Checkpointer } from './checkpointer.ts'
import { unavailable } from './connection.ts'
import type { WriteChannel, WriteKind, WriteReply, WriteRequest } from './write-channel.ts'
import type { WriteTurns } from './write-turns.ts'
import type { PendingWrite, WriterConnection } from './writer-connection.ts'

/** One transaction: so many requests, and about so many bytes, at most. */
const GROUP_REQUESTS_MAX = 256
const GROUP_BYTES_MAX = 4_194_304
/** What waits is bounded: beyond this, requests are refused until some of it is written. */
const WAITING_BYTES_MAX = 134_217_728
/** Between looks at whether another process has finished writing. */
const BACK_OFF_MS = 1

export class WriteQueue implements WriteChannel {
  readonly #connection: WriterConnection
  readonly #turns: WriteTurns
  readonly #checkpointer: Checkpointer
  readonly #clock: Clock
  readonly #random: Random
  readonly #failpoint: Failpoint
  readonly #changed: () => void
  #waiting: PendingWrite[] = []
  #waitingBytes: number = 0
  #running: Promise<void> | undefined
  #closed: boolean = false

  constructor(
    connection: WriterConnection,
    options: {
      readonly turns: WriteTurns
      readonly checkpointer: Checkpointer
      readonly clock: Clock
      readonly random: Random
      readonly failpoint: Failpoint
      /** Called after every transaction. */
      readonly changed: () => void
    },
  ) {
    this.#connection = connection
    this.#turns = options.turns
    this.#checkpointer = options.checkpointer
    this.#clock = options.clock
    this.#random = options.random
    this.#failpoint = options.failpoint
    this.#changed = options.changed
  }

  ask<K extends WriteKind>(kind: K, request: WriteRequest<K>): Promise<WriteReply<K>> {
    const { promise, resolve, reject } = Promise.withResolvers<WriteReply<K>>()
    const fail = (error: LogError, outcome: 'aborted' | 'unknown'): void => {
      if (kind === 'commit') resolve({ outcome, error } as WriteReply<K>)
      else reject(error)
    }
    if (this.#closed) {
      fail(new LogError('LOG_CLOSED', 'the log is closed'), 'aborted')
      return promise
    }
    if (this.#waitingBytes >= WAITING_BYTES_MAX) {
      const message = 'more waits to be written than fits: try again when some of it is'
      fail(new LogError('LOG_UNAVAILABLE', message, { retriable: true }), 'aborted')
      return promise
    }
    if (kind === 'commit') this.#failpoint('log:received')
    this.#waitingBytes += sizeOf(kind, request)
    this.#waiting.push({ kind, request, succeed: resolve, fail } as PendingWrite)
    this.#running ??= this.#run()
    return promise
  }

  /** Takes nothing more; resolves when what was taken is done. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#running
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      await this.#clock.turn()
      await this.#checkpointer.room
      const { group, bytes } = this.#takeGroup()
      try {
        await this.#write(group)
        this.#changed()
        this.#checkpointer.wrote(bytes)
      } catch (error) {
        // Nobody may wait for ever, and the next group has its turn. Whom the transaction told already stays told.
        const failure = unavailable('the end of a write is unknown', error)
        for (const write of group) write.fail(failure, 'unknown')
      }
    }
    this.#running = undefined
  }

  async #write(group: readonly PendingWrite[]): Promise<void> {
    while (!(this.#turns.isNext() && this.#connection.transact(group))) {
      this.#turns.wait()
      await this.#backOff()
    }
    this.#turns.done()
  }

  #takeGroup(): { readonly group: readonly PendingWrite[]; readonly bytes: number } {
    let bytes = 0
    let count = 0
    for (const { kind, request } of this.#waiting) {
      if (count === GROUP_REQUESTS_MAX || (count > 0 && bytes >= GROUP_BYTES_MAX)) break
      bytes += sizeOf(kind, request)
      count += 1
    }
    this.#waitingBytes -= bytes
    return { group: this.#waiting.splice(0, count), bytes }
  }

  #backOff(): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.after(BACK_OFF_MS * (0.5 + this.#random.next()), resolve)
    })
  }
}

function sizeOf<K extends WriteKind>(kind: K, request: WriteRequest<K>): number {
  if (kind === 'append') return (request as WriteRequest<'append'>).bytes.length
  let bytes = 0
  if (kind === 'rewrite-batches') {
    for (const rewrite of (request as WriteRequest<'rewrite-batches'>).rewrites) {
      bytes += rewrite.bytes?.length ?? 0
    }
  }
  if (kind !== 'commit') return bytes
  for (const append of (request as WriteRequest<'commit'>).sealed.appends) {
    bytes += append.bytes.length
  }
  return bytes
}
