/**
 * Keeps the WAL short: asks the checkpoint thread, and tells the writer when only it can make the WAL start over.
 *
 * Invariant: the thread exists only in processes that have written enough to need it.
 */
import type { Checkpointed, ToCheckpointer } from './checkpoint-worker.ts'

/** A checkpoint for every so much that was written. */
const CHECKPOINT_BYTES = 4_194_304
/** What a transaction writes beside its batches: pages of tables and indexes. */
const OVERHEAD_BYTES = 16_384
/** From here on the writer itself waits for the readers of the WAL, so that it does not grow for ever (R17). */
const RESTART_BYTES = 67_108_864
const PAGE_BYTES = 4_096

export class Checkpointer {
  readonly #path: string
  #worker: Worker | undefined
  #writtenBytes: number = 0
  #isRunning: boolean = false
  #needsRestart: boolean = false

  constructor(path: string) {
    this.#path = path
  }

  /** The WAL is so long that the writer has to make it start over. */
  get needsRestart(): boolean {
    return this.#needsRestart
  }

  /** A transaction has written about this many bytes of batches. */
  wrote(bytes: number): void {
    this.#writtenBytes += bytes + OVERHEAD_BYTES
    if (this.#writtenBytes < CHECKPOINT_BYTES || this.#isRunning) return
    this.#writtenBytes = 0
    this.#isRunning = true
    this.#worker ??= this.#start()
    this.#send({ checkpoint: true })
  }

  restarted(): void {
    this.#needsRestart = false
  }

  close(): Promise<void> {
    const worker = this.#worker
    if (worker === undefined) return Promise.resolve()
    this.#worker = undefined
    // Never terminated from outside: a lock it held would stay for as long as the process lives.
    return new Promise((resolve) => {
      worker.addEventListener('close', () => resolve())
      worker.postMessage({ close: true } satisfies ToCheckpointer)
    })
  }

  #start(): Worker {
    const worker = new Worker(new URL('./checkpoint-worker.ts', import.meta.url).href)
    worker.unref()
    worker.onmessage = (event: MessageEvent) => {
      const { walPages }: Checkpointed = event.data
      this.#isRunning = false
      if (walPages * PAGE_BYTES >= RESTART_BYTES) this.#needsRestart = true
    }
    worker.postMessage({ path: this.#path } satisfies ToCheckpointer)
    return worker
  }

  #send(message: ToCheckpointer): void {
    this.#worker?.postMessage(message)
  }
}
