/**
 * The write channel over a message port: what the other threads of a process write goes to the thread that owns the
 * connection, which lets it share a transaction with whatever else waits there (R17).
 *
 * Invariant: every request gets one answer, be it that the log is closed.
 */
import { assert } from '#system'

import { type CommitResult, LogError, type LogErrorCode, type TopicPartition } from '../log.ts'
import type { WriteChannel, WriteKind, WriteReply, WriteRequest } from './write-channel.ts'

/** An error as plain data: structured cloning would take its class and code away. */
interface PlainError {
  readonly code: LogErrorCode
  readonly message: string
  readonly retriable: boolean
  readonly at: (TopicPartition & { readonly offset?: number }) | undefined
}

type ToOwner =
  | { readonly id: number; readonly kind: WriteKind; readonly request: unknown }
  | { readonly close: true }
type FromOwner =
  | { readonly id: number; readonly reply: unknown }
  | { readonly id: number; readonly error: PlainError }
  | { readonly changed: true }
  | { readonly closed: true }

/** The owner's end. */
export class ServedPort {
  readonly #port: MessagePort
  readonly #channel: WriteChannel
  readonly #onClose: (served: ServedPort) => void

  constructor(port: MessagePort, channel: WriteChannel, onClose: (served: ServedPort) => void) {
    this.#port = port
    this.#channel = channel
    this.#onClose = onClose
    port.onmessage = (event) => {
      const data: ToOwner = event.data
      if ('close' in data) this.close()
      else void this.#serve(data.id, data.kind, data.request)
    }
  }

  /** Something was written: the readers over there may want to look. */
  changed(): void {
    this.#send({ changed: true })
  }

  close(): void {
    this.#send({ closed: true })
    this.#port.close()
    this.#onClose(this)
  }

  async #serve(id: number, kind: WriteKind, request: unknown): Promise<void> {
    try {
      const reply = await this.#channel.ask(kind, request as WriteRequest<WriteKind>)
      this.#send({ id, reply: encodeReply(reply) })
    } catch (error) {
      this.#send({ id, error: encodeError(error) })
    }
  }

  #send(message: FromOwner): void {
    this.#port.postMessage(message)
  }
}

/** The other threads' end. */
export class PortChannel implements WriteChannel {
  readonly #port: MessagePort
  readonly #pending: Map<number, PromiseWithResolvers<unknown>> = new Map()
  #nextId: number = 0
  #closed: boolean = false

  /** `changed` is called when something was written through the owner. */
  constructor(port: MessagePort, changed: () => void) {
    this.#port = port
    port.onmessage = (event) => {
      const data: FromOwner = event.data
      if ('changed' in data) return changed()
      if ('closed' in data) return this.#end()
      const pending = this.#pending.get(data.id)
      assert(pending !== undefined, 'an answer belongs to a request')
      this.#pending.delete(data.id)
      if ('error' in data) pending.reject(decodeError(data.error))
      else pending.resolve(decodeReply(data.reply))
    }
  }

  ask<K extends WriteKind>(kind: K, request: WriteRequest<K>): Promise<WriteReply<K>> {
    if (this.#closed) return Promise.reject(closedError())
    const pending = Promise.withResolvers<unknown>()
    const id = this.#nextId++
    this.#pending.set(id, pending)
    const [value, transfer] = movable(kind, request)
    const message: ToOwner = { id, kind, request: value }
    this.#port.postMessage(message, transfer)
    return pending.promise as Promise<WriteReply<K>>
  }

  close(): void {
    if (this.#closed) return
    const message: ToOwner = { close: true }
    this.#port.postMessage(message)
    this.#end()
  }

  #end(): void {
    this.#closed = true
    this.#port.close()
    for (const { reject } of this.#pending.values()) reject(closedError())
    this.#pending.clear()
  }
}

/**
 * A request whose bytes are copies that can be moved: a memory copy and a transfer cost a tenth of a structured clone, and
 * the caller's bytes stay the caller's.
 */
function movable<K extends WriteKind>(
  kind: K,
  request: WriteRequest<K>,
): readonly [value: unknown, transfer: ArrayBuffer[]] {
  const transfer: ArrayBuffer[] = []
  const move = <A extends { readonly bytes: Uint8Array }>(append: A): A => {
    const bytes = new Uint8Array(append.bytes)
    transfer.push(bytes.buffer)
    return { ...append, bytes }
  }
  if (kind === 'append') return [move(request as WriteRequest<'append'>), transfer]
  if (kind !== 'commit') return [request, transfer]
  const { sealed, ...writer } = request as WriteRequest<'commit'>
  return [{ ...writer, sealed: { ...sealed, appends: sealed.appends.map(move) } }, transfer]
}

const isCommitResult = (reply: unknown): reply is CommitResult =>
  typeof reply === 'object' && reply !== null && 'outcome' in reply

function encodeReply(reply: unknown): unknown {
  if (!isCommitResult(reply) || reply.outcome === 'committed') return reply
  return { ...reply, error: encodeError(reply.error) }
}

function decodeReply(reply: unknown): unknown {
  if (!isCommitResult(reply) || reply.outcome === 'committed') return reply
  return { ...reply, error: decodeError(reply.error as PlainError) }
}

function encodeError(error: unknown): PlainError {
  if (!(error instanceof LogError)) {
    const message = error instanceof Error ? error.message : String(error)
    return { code: 'LOG_UNAVAILABLE', message, retriable: false, at: undefined }
  }
  const { code, message, retriable, at } = error
  return { code, message, retriable, at }
}

function decodeError({ code, message, retriable, at }: PlainError): LogError {
  return new LogError(code, message, at === undefined ? { retriable } : { retriable, at })
}

const closedError = (): LogError => new LogError('LOG_CLOSED', 'the log is closed')
