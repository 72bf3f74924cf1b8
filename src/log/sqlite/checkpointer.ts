/**
 * Keeps the WAL short, by asking the checkpoint thread from time to time.
 *
 * Invariant: the thread exists only in processes that have written enough to need it.
 */
import type { ToCheckpointer } from './checkpoint-worker.ts'

/** A checkpoint for every so much that was written. */
const CHECKPOINT_BYTES = 4_194_304
/** What a transaction writes beside its batches: pages of tables and indexes. */
const OVERHEAD_BYTES = 16_384

export class Checkpointer {
  readonly #path: string
  #worker: Worker | undefined
  #writtenBytes: number = 0
  #isRunning: boolean = false

  constructor(path: string) {
    this.#path = path
  }

  /** A transaction has written about this many bytes of batches. */
  wrote(bytes: number): void {
    this.#writtenBytes += bytes + OVERHEAD_BYTES
    if (this.#writtenBytes < CHECKPOINT_BYTES || this.#isRunning) return
    this.#writtenBytes = 0
    this.#isRunning = true
    this.#worker ??= this.#start()
    send(this.#worker, { checkpoint: true })
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
    worker.onmessage = () => {
      this.#isRunning = false
    }
    const ended = (): void => {
      if (this.#worker !== worker) return
      this.#worker = undefined
      this.#isRunning = false
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
}

function send(worker: Worker, message: ToCheckpointer): void {
  worker.postMessage(message)
}
