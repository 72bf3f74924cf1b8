/**
 * Campus as a child process: started in a folder of its own, killed or stopped, started again on the same port.
 *
 * Invariant: every process that was started here has ended when `remove` resolves.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const MAIN = join(import.meta.dir, '../main.ts')
const READY_MS_MAX = 90_000

export interface Exit {
  readonly code: number | null
  readonly signal: string | number | null
}

export class Application {
  readonly folder: string
  readonly log: string
  /** What it says on stderr: rebuilt stores and failures. */
  readonly complaints: string[] = []
  readonly #flags: readonly string[]
  #child: Bun.Subprocess<'ignore', 'pipe', 'pipe'> | undefined
  #port = 0
  #isReady = false

  /** On a log in its own folder, unless one is given; so is the folder. */
  constructor(flags: readonly string[] = [], log?: string, folder?: string) {
    this.#flags = flags
    this.folder = folder ?? mkdtempSync(join(tmpdir(), 'campus-'))
    this.log = log ?? `sqlite:${join(this.folder, 'campus.db')}`
  }

  /** It said so, and runs. */
  get isReady(): boolean {
    return this.#isReady && this.isRunning
  }

  get isRunning(): boolean {
    const child = this.#child
    return child !== undefined && child.exitCode === null && child.signalCode === null
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  /** Milliseconds until it said that it is ready; undefined if it died before. */
  async start(failpoint?: string): Promise<number | undefined> {
    const startedMs = performance.now()
    const flags = ['--log', this.log, '--port', String(this.#port), ...this.#flags]
    const child = Bun.spawn([process.execPath, MAIN, ...flags], {
      cwd: this.folder,
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
      env: {
        ...process.env,
        ...(failpoint === undefined ? {} : { MILLRACE_FAILPOINT: failpoint }),
      },
    })
    this.#child = child
    this.#isReady = false
    void this.#listen(child.stderr)
    const overdue = setTimeout(() => child.kill('SIGKILL'), READY_MS_MAX)
    try {
      for await (const line of lines(child.stdout)) {
        const port = /is ready on http:\/\/[^:]+:(\d+)/.exec(line)?.[1]
        if (port === undefined) continue
        this.#port = Number(port)
        this.#isReady = true
        return performance.now() - startedMs
      }
      return undefined
    } finally {
      clearTimeout(overdue)
    }
  }

  async #listen(stderr: ReadableStream<Uint8Array>): Promise<void> {
    for await (const line of lines(stderr)) this.complaints.push(line)
  }

  /** Ends by itself or not within `waitMs`. */
  async exited(waitMs: number): Promise<Exit | undefined> {
    const child = this.#child
    if (child === undefined) return undefined
    let timer: Timer | undefined
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), waitMs)
    })
    const ended = child.exited.then(() => ({ code: child.exitCode, signal: child.signalCode }))
    const exit = await Promise.race([ended, late])
    clearTimeout(timer)
    return exit
  }

  async kill(): Promise<Exit> {
    return this.#end('SIGKILL')
  }
  async stop(): Promise<Exit> {
    return this.#end('SIGTERM')
  }
  signal(signal: 'SIGTERM' | 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(signal)
  }

  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<Exit> {
    this.#child?.kill(signal)
    await this.#child?.exited
    return { code: this.#child?.exitCode ?? null, signal: this.#child?.signalCode ?? null }
  }

  async remove(): Promise<void> {
    await this.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let tail = ''
  for await (const chunk of stream) {
    const parts = (tail + decoder.decode(chunk, { stream: true })).split('\n')
    tail = parts.pop() ?? ''
    yield* parts
  }
  if (tail !== '') yield tail
}
