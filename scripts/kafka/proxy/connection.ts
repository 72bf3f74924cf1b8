/**
 * One client's connection and the proxy's own to the broker, with the rules between the two.
 *
 * A broker serves a connection in order, so a response belongs to the oldest request with its correlation id.
 *
 * Invariant: what no rule touches passes unchanged and in order; a request that was held back reaches the broker even if its
 * client has gone.
 */
import { connect, type Socket } from 'node:net'
import { Frames, framed } from './frames.ts'
import { readCorrelationId, readRequest, type RequestHeader } from './requests.ts'
import type { Rule } from './rule.ts'

interface Asked {
  readonly request: RequestHeader
  /** The answer to a repeated request is nobody's. */
  readonly isRepeat: boolean
}

/** How long a connection is kept for what is late, once its client has gone. */
const LATE_ANSWER_MS = 1_000

export class ProxiedConnection {
  readonly #client: Socket
  readonly #broker: Socket
  readonly #rules: () => readonly Rule[]
  readonly #asked: Asked[] = []
  #toBroker: Promise<void> = Promise.resolve()
  #toClient: Promise<void> = Promise.resolve()
  /** Requests on their way to the broker. */
  #onTheWay = 0

  constructor(client: Socket, brokerPort: number, host: string, rules: () => readonly Rule[]) {
    this.#client = client
    this.#rules = rules
    this.#broker = connect({ port: brokerPort, host, noDelay: true })
    client.setNoDelay(true)
    const ended = new Promise<void>((resolve) => this.#broker.once('close', () => resolve()))
    void ended.then(() => this.end())
    this.#pump(client, this.#broker, (frame) => this.#onRequest(frame))
    this.#pump(this.#broker, client, (frame) => this.#onResponse(frame))
    client.on('close', () => this.#release())
  }

  /** Closes both sides at once. */
  end(): void {
    this.#client.destroy()
    this.#broker.destroy()
  }

  onEnd(listener: () => void): void {
    this.#broker.once('close', listener)
  }

  #pump(from: Socket, to: Socket, take: (frame: Buffer) => void): void {
    const frames = new Frames()
    // A socket that fails also closes, which is what counts.
    from.on('error', () => {})
    from.on('data', (chunk: Buffer) => {
      try {
        for (const frame of frames.push(chunk)) take(frame)
      } catch {
        this.end()
      }
      if (to.writableNeedDrain && !to.destroyed) {
        from.pause()
        to.once('drain', () => from.resume())
      }
    })
  }

  #onRequest(frame: Buffer): void {
    const request = readRequest(frame)
    const rule = this.#rules().find((one) => one.takes(request, 'request'))
    const send = (isRepeat = false): void => {
      this.#asked.push({ request, isRepeat })
      write(this.#broker, frame)
    }
    this.#onTheWay += 1
    this.#toBroker = this.#toBroker.then(async () => {
      if (rule?.options.action === 'cut') this.end()
      if (rule?.options.action === 'delay') await rule.wait()
      if (rule?.options.action !== 'drop') send()
      if (rule?.options.action === 'duplicate') void this.#repeat(rule, () => send(true))
      this.#arrived()
    })
  }

  async #repeat(rule: Rule, send: () => void): Promise<void> {
    this.#onTheWay += 1
    await rule.wait()
    send()
    this.#arrived()
  }

  #arrived(): void {
    this.#onTheWay -= 1
    if (this.#client.destroyed) this.#release()
  }

  #onResponse(frame: Buffer): void {
    const correlationId = readCorrelationId(frame)
    const at = this.#asked.findIndex(({ request }) => request.correlationId === correlationId)
    const [asked] = at < 0 ? [] : this.#asked.splice(at, 1)
    if (asked === undefined || asked.isRepeat) return
    const rule = this.#rules().find((one) => one.takes(asked.request, 'response'))
    const send = (): void => write(this.#client, frame)
    this.#toClient = this.#toClient.then(async () => {
      switch (rule?.options.action) {
        case undefined:
          return send()
        case 'drop':
          return
        case 'cut':
          return this.end()
        case 'delay':
          await rule.wait()
          return send()
        case 'duplicate':
          send()
          void rule.wait().then(send)
      }
    })
  }

  /** The client has gone: the broker is told, unless something is still on its way to it. */
  #release(): void {
    if (this.#onTheWay > 0) return
    if (this.#asked.length === 0) this.#broker.destroy()
    else setTimeout(() => this.#broker.destroy(), LATE_ANSWER_MS)
  }
}

function write(socket: Socket, frame: Buffer): void {
  if (!socket.destroyed) socket.write(framed(frame))
}
