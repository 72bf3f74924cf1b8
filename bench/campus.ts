/** `bun run topology` as a child process, and what it takes of the machine. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dir, '..')

export class Campus {
  readonly url: string
  readonly #child: Bun.Subprocess

  private constructor(url: string, child: Bun.Subprocess) {
    this.url = url
    this.#child = child
  }

  static async start(log: string, ...flags: readonly string[]): Promise<Campus> {
    const main = join(ROOT, 'src/campus/main.ts')
    const child = Bun.spawn([process.execPath, main, '--port', '0', '--log', log, ...flags], {
      cwd: ROOT,
      stdout: 'pipe',
      stderr: 'inherit',
    })
    const decoder = new TextDecoder()
    let told = ''
    for await (const chunk of child.stdout) {
      told += decoder.decode(chunk)
      const url = /is ready on (\S+)/.exec(told)?.[1]
      if (url !== undefined) return new Campus(url, child)
    }
    throw new Error(`campus did not start: ${told}`)
  }

  async get<T>(path: string): Promise<T> {
    return (await (await fetch(this.url + path)).json()) as T
  }

  /** Resolves when every application has committed all there is. */
  async caughtUp(): Promise<void> {
    for (;;) {
      const applications = await this.get<readonly { readonly lag: number }[]>('/applications')
      if (applications.every(({ lag }) => lag === 0)) return
      await Bun.sleep(200)
    }
  }

  /** Resident memory, now or at its highest. */
  residentBytes(which: 'VmRSS' | 'VmHWM'): number {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8')
    return Number(new RegExp(`${which}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1024
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGTERM')
    await this.#child.exited
  }
}
