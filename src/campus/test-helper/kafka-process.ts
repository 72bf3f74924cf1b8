/**
 * Processes of campus on brokers that share one folder, as several do on one machine.
 *
 * Invariant: every process that was started here has ended when `remove` resolves.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from '../scenarios/client.ts'

const MAIN = join(import.meta.dir, '../main.ts')
const READY = /is ready on http:\/\/[^:]+:(\d+)/

/** What `/applications` says of one. */
export interface ApplicationShare {
  readonly id: string
  readonly state: string
  readonly lag: number
  readonly tasks: readonly string[]
  readonly standbys: readonly string[]
  readonly tasksOfAll: number
  readonly restoredRecords: number
}

export class KafkaProcess {
  readonly client: Client
  url = ''
  /** What it says on stderr: rebuilt stores and failures. */
  complaints = ''
  readonly #command: readonly string[]
  readonly #folder: string
  #child: Bun.Subprocess<'ignore', 'pipe', 'pipe'> | undefined

  constructor(folder: string, bootstrap: string, flags: readonly string[]) {
    this.#folder = folder
    this.#command = [process.execPath, MAIN, '--log', `kafka://${bootstrap}`, ...flags]
    this.client = new Client(() => this.url)
  }

  /** Milliseconds until it said that it is ready. */
  async start(environment: Readonly<Record<string, string>> = {}): Promise<number> {
    const startedMs = performance.now()
    const child = Bun.spawn([...this.#command], {
      cwd: this.#folder,
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
      env: { ...process.env, ...environment },
    })
    this.#child = child
    void this.#listen(child.stderr)
    let text = ''
    for await (const chunk of child.stdout) {
      text += new TextDecoder().decode(chunk)
      const port = READY.exec(text)?.[1]
      if (port === undefined) continue
      this.url = `http://127.0.0.1:${port}`
      return performance.now() - startedMs
    }
    throw new Error(`campus never was ready: ${text}${this.complaints}`)
  }

  /** How it ended: its exit code, or null if the signal ended it. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    this.#child?.kill(signal)
    await this.#child?.exited
    return this.#child?.exitCode ?? null
  }

  shares(): Promise<readonly ApplicationShare[]> {
    return this.client.get<readonly ApplicationShare[]>('/applications').then((list) => list ?? [])
  }

  async share(id: string): Promise<ApplicationShare | undefined> {
    return (await this.shares()).find((share) => share.id === id)
  }

  async #listen(stderr: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder()
    for await (const chunk of stderr) this.complaints += decoder.decode(chunk, { stream: true })
  }
}

/** All in one folder. */
export class KafkaProcesses {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'campus-kafka-'))
  readonly all: KafkaProcess[] = []
  readonly #bootstrap: string

  constructor(bootstrap: string) {
    this.#bootstrap = bootstrap
  }

  /** Not started yet; on a free port unless the flags say otherwise. */
  add(...flags: readonly string[]): KafkaProcess {
    const added = new KafkaProcess(this.folder, this.#bootstrap, ['--port', '0', ...flags])
    this.all.push(added)
    return added
  }

  get complaints(): string {
    return this.all.map(({ complaints }) => complaints).join('')
  }

  async remove(): Promise<void> {
    await Promise.all(this.all.map((one) => one.end('SIGKILL')))
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Asks until it is so. */
export async function eventually(
  condition: () => boolean | Promise<boolean>,
  what: string,
  withinMs: number = 90_000,
): Promise<void> {
  const endMs = performance.now() + withinMs
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`not within ${withinMs} ms: ${what}`)
    await Bun.sleep(20)
  }
}
