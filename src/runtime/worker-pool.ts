/**
 * The threads of a process that run workers, shared by all of its applications on one log.
 *
 * Invariant: a thread that ends without having been told to takes the process with it (R17): it may have held the log's file in
 * the middle of a commit, and nobody could let go of it.
 */
import type { Log } from '#log'
import { assert } from '#system'
import type { StoreQuestion, StoreReply } from './store-question.ts'
import { NO_METRICS, type StreamsMetrics } from './streams-metrics.ts'
import type { Machine } from './streams-options.ts'
import type { WorkerHost } from './worker-host.ts'
import {
  receiveError,
  type FromThread,
  type ThreadSetup,
  type ToThread,
} from './worker-messages.ts'
import type { WorkerSetup } from './worker-setup.ts'

/** What a hosted worker calls back. */
export interface HostCallbacks extends Pick<WorkerSetup, 'remember' | 'onState'> {
  readonly machine: Machine
}

const pools = new Map<Log, WorkerPool>()

/** The pool of the process for this log, with at least `size` threads; `release` it once for each `take`. */
export function takePool(log: Log, size: number, failpoint: string | undefined): WorkerPool {
  const pool = pools.get(log) ?? new WorkerPool(log, failpoint, () => pools.delete(log))
  pools.set(log, pool)
  pool.take(size)
  return pool
}

export class WorkerPool {
  readonly #log: Log
  readonly #failpoint: string | undefined
  readonly #onEmpty: () => void
  readonly #threads: Thread[] = []
  #users = 0

  constructor(log: Log, failpoint: string | undefined, onEmpty: () => void) {
    this.#log = log
    this.#failpoint = failpoint
    this.#onEmpty = onEmpty
  }

  take(size: number): void {
    this.#users += 1
    while (this.#threads.length < size) this.#threads.push(new Thread(this.#log, this.#failpoint))
  }

  /** Runs a worker on thread `setup.worker`. */
  host(setup: ThreadSetup, callbacks: HostCallbacks): WorkerHost {
    const thread = this.#threads[setup.worker]
    assert(thread !== undefined, 'there is a thread for each worker')
    return thread.host(setup, callbacks)
  }

  /** The last user ends the threads. */
  async release(): Promise<void> {
    this.#users -= 1
    if (this.#users > 0) return
    this.#onEmpty()
    await Promise.all(this.#threads.map((thread) => thread.quit()))
  }
}

interface RemoteHost {
  readonly callbacks: HostCallbacks
  readonly end: (error: Error | undefined) => void
  metrics: StreamsMetrics
  owners: Readonly<Record<string, string>>
}

interface Call {
  readonly resolve: (replies: readonly StoreReply[]) => void
  readonly reject: (error: Error) => void
}

class Thread {
  readonly #worker: Worker
  readonly #ended: Promise<void>
  readonly #hosts = new Map<number, RemoteHost>()
  readonly #calls = new Map<number, Call>()
  #nextHost = 0
  #nextCall = 0
  #isQuitting = false

  constructor(log: Log, failpoint: string | undefined) {
    const { driver, value, transfer } = log.share()
    this.#worker = new Worker(new URL('./worker-thread.ts', import.meta.url).href)
    this.#worker.onmessage = ({ data }: MessageEvent<FromThread>) => this.#receive(data)
    this.#worker.onerror = ({ message }) => this.#die(message)
    this.#ended = new Promise((resolve) => {
      this.#worker.addEventListener('close', () => {
        if (!this.#isQuitting) this.#die('it ended by itself')
        resolve()
      })
    })
    this.#send({ kind: 'connect', share: { driver, value }, failpoint }, [...transfer])
  }

  host(setup: ThreadSetup, callbacks: HostCallbacks): WorkerHost {
    const id = this.#nextHost++
    const ended = new Promise<void>((resolve, reject) => {
      const end = (error: Error | undefined): void =>
        error === undefined ? resolve() : reject(error)
      this.#hosts.set(id, { callbacks, end, metrics: NO_METRICS, owners: {} })
    })
    const remote = this.#hosts.get(id)
    this.#send({ kind: 'host', host: id, setup })
    return {
      ended,
      stop: (leave) => this.#send({ kind: 'stop', host: id, leave }),
      ask: (question) => this.#ask(id, question),
      metrics: () => remote?.metrics ?? NO_METRICS,
      owners: () => remote?.owners ?? {},
    }
  }

  async quit(): Promise<void> {
    this.#isQuitting = true
    this.#send({ kind: 'quit' })
    await this.#ended
  }

  #ask(host: number, question: StoreQuestion): Promise<readonly StoreReply[]> {
    if (!this.#hosts.has(host)) return Promise.resolve([])
    const call = this.#nextCall++
    return new Promise((resolve, reject) => {
      this.#calls.set(call, { resolve, reject })
      this.#send({ kind: 'ask', host, call, question })
    })
  }

  #receive(message: FromThread): void {
    if (message.kind === 'reply' || message.kind === 'refusal') {
      const call = this.#calls.get(message.call)
      this.#calls.delete(message.call)
      if (message.kind === 'reply') call?.resolve(message.replies)
      else call?.reject(receiveError(message.error))
      return
    }
    const host = this.#hosts.get(message.host)
    if (host === undefined) return
    switch (message.kind) {
      case 'state':
        host.callbacks.onState(message.state)
        break
      case 'happening':
        host.callbacks.machine.observer(message.happening)
        break
      case 'remember':
        host.callbacks.remember(message.positions)
        break
      case 'metrics':
        host.metrics = message.metrics
        host.owners = message.owners
        break
      case 'ended':
        this.#hosts.delete(message.host)
        host.end(message.error === undefined ? undefined : receiveError(message.error))
    }
  }

  #send(message: ToThread, transfer: (ArrayBuffer | MessagePort)[] = []): void {
    this.#worker.postMessage(message, transfer)
  }

  #die(reason: string): void {
    for (const { callbacks } of this.#hosts.values()) {
      const error = new TypeError(
        `a thread of workers died, and the process ends with it: ${reason}`,
      )
      callbacks.machine.observer({ kind: 'failed', applicationId: '', error })
    }
    process.exit(1)
  }
}
