/**
 * Keeps the WAL short: asks the checkpoint thread from time to time, and lets the writer wait when it is too far ahead.
 *
 * Invariant: the WAL does not grow for ever, however fast the writer and however slow the disk; and the thread exists only in
 * processes that have written enough to need it.
 */
import type { FromCheckpointer, ToCheckpointer } from './checkpoint-worker.ts'

/** A checkpoint for every so much that was written. */
const CHECKPOINT_BYTES = 4_194_304
/** So much may be written while one is under way; then the writer waits for it. */
const AHEAD_BYTES = 33_554_432
/** What a transaction writes beside its batches: pages of tables and indexes. */
const OVERHEAD_BYTES = 16_384
/** A checkpoint beside a busy writer never catches up with it: at 64 MiB of WAL the writer waits while it starts over (R17). */
const RESTART_PAGES = 67_108_864 / 4_096

interface RunningCheckpoint {
  readonly done: Promise<void>
  readonly finish: () => void
  readonly kind: 'checkpoint' | 'restart'
}

export class Checkpointer {
  readonly #path: string
  #worker: Worker | undefined
  #writtenBytes: number = 0
  #running: RunningCheckpoint | undefined

  constructor(path: string) {
    this.#path = path
  }

  /** Undefined, or what the writer has to wait for before its next transaction; the event loop goes on meanwhile. */
  get room(): Promise<void> | undefined {
    const isFull = this.#running?.kind === 'restart' || this.#writtenBytes >= AHEAD_BYTES
    return isFull ? this.#running?.done : undefined
  }

  /** A transaction has written about this many bytes of batches. */
  wrote(bytes: number): void {
    this.#writtenBytes += bytes + OVERHEAD_BYTES
    if (this.#writtenBytes < CHECKPOINT_BYTES || this.#running !== undefined) return
    this.#writtenBytes = 0
    this.#worker ??= this.#start()
    this.#run(this.#worker, 'checkpoint')
  }

  close(): Promise<void> {
    const worker = this.#worker
    if (worker === undefined) return Promise.resolve()
    this.#worker = undefined
    // Never terminated from outside: a lock it held would stay for as long as the process lives.
    return new Promise((resolve) => {
      worker.addEventListener('close', () => resolve())
      send(worker, { close: true })
    })
  }

  #start(): Worker {
    const worker = new Worker(new URL('./checkpoint-worker.ts', import.meta.url).href)
    worker.unref()
    worker.onmessage = (event: MessageEvent) => {
      const walPages: FromCheckpointer = event.data
      this.#finish(worker)
      if (walPages >= RESTART_PAGES && this.#worker === worker) this.#run(worker, 'restart')
    }
    const ended = (): void => {
      this.#finish(worker)
      if (this.#worker === worker) this.#worker = undefined
    }
    // A thread that failed is replaced when the next checkpoint is due.
    worker.onerror = (event) => {
      event.preventDefault()
      ended()
    }
    worker.addEventListener('close', ended)
    send(worker, { path: this.#path })
    return worker
  }

  #run(worker: Worker, kind: RunningCheckpoint['kind']): void {
    const { promise: done, resolve: finish } = Promise.withResolvers<void>()
    this.#running = { done, finish, kind }
    // The writer may wait for it, and with it the whole process.
    worker.ref()
    send(worker, kind === 'restart' ? { restart: true } : { checkpoint: true })
  }

  #finish(worker: Worker): void {
    worker.unref()
    this.#running?.finish()
    this.#running = undefined
  }
}

function send(worker: Worker, message: ToCheckpointer): void {
  worker.postMessage(message)
}
