/** Child processes of the suite, and what they say. */
import { join } from 'node:path'

import type { AppendTask, CommitTask, MemberTask } from './child.ts'

const SCRIPT = join(import.meta.dir, 'child.ts')

export interface Told {
  readonly value?: string
  readonly offset?: number
  readonly n?: number
  readonly outcome?: string
  readonly generation?: number
  readonly event?: string
  readonly held?: readonly string[]
}

export class LogChild {
  /** Everything it has said so far. */
  readonly told: Told[] = []
  readonly #process: Bun.Subprocess<'ignore', 'pipe', 'inherit'>
  readonly #waiting: (() => void)[] = []
  readonly #read: Promise<void>
  #ended: boolean = false

  static append(url: string, task: AppendTask): LogChild {
    return new LogChild(url, 'append', task)
  }

  static commit(url: string, task: CommitTask): LogChild {
    return new LogChild(url, 'commit', task)
  }

  static member(url: string, task: MemberTask): LogChild {
    return new LogChild(url, 'member', task)
  }

  private constructor(url: string, task: string, settings: unknown) {
    this.#process = Bun.spawn([process.execPath, SCRIPT, url, task, JSON.stringify(settings)], {
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'inherit',
    })
    this.#read = this.#readAll()
  }

  /** Resolves with the first line, from `from` on, that `wanted` takes; rejects if the process ends before. */
  async until(wanted: (told: Told) => boolean, from: number = 0): Promise<Told> {
    for (let at = from; ; at += 1) {
      while (at >= this.told.length) {
        if (this.#ended) throw new Error(`the child ended after ${this.told.length} lines`)
        await new Promise<void>((resolve) => this.#waiting.push(resolve))
      }
      const told = this.told[at]
      if (told !== undefined && wanted(told)) return told
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal)
  }

  /** `kill -9`; resolves when it is dead and everything it said has been read. */
  async kill(): Promise<void> {
    this.#process.kill('SIGKILL')
    await this.#process.exited
    await this.#read
  }

  async #readAll(): Promise<void> {
    let rest = ''
    const decoder = new TextDecoder()
    for await (const chunk of this.#process.stdout) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) this.told.push(JSON.parse(line))
      this.#wake()
    }
    this.#ended = true
    this.#wake()
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake()
  }
}
