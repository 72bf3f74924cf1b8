/** A server as a child process: where it listens, what it takes of the machine, and how it ends. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dir, '..')

/** What `bun run topology` sets: the size of the machine as the garbage collector is told it, so that it collects sooner. */
export function topologySettings(): Readonly<Record<string, string>> {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    readonly scripts: { readonly topology: string }
  }
  return Object.fromEntries(
    [...manifest.scripts.topology.matchAll(/(\w+)=(\S+)/g)].map(([, name, value]) => [name, value]),
  )
}

export class ServerProcess {
  readonly url: string
  readonly #child: Bun.Subprocess

  private constructor(url: string, child: Bun.Subprocess) {
    this.url = url
    this.#child = child
  }

  /** Starts a program of the repository, and waits until it says `… is ready on URL`. */
  static async start(program: string, ...flags: readonly string[]): Promise<ServerProcess> {
    const child = Bun.spawn([process.execPath, join(ROOT, program), ...flags], {
      cwd: ROOT,
      env: { ...process.env, ...topologySettings() },
      stdout: 'pipe',
      stderr: 'inherit',
    })
    const decoder = new TextDecoder()
    let told = ''
    for await (const chunk of child.stdout) {
      told += decoder.decode(chunk)
      const url = /is ready on (\S+)/.exec(told)?.[1]
      if (url !== undefined) return new ServerProcess(url, child)
    }
    throw new Error(`${program} did not start: ${told}`)
  }

  /** `bun run topology` on this log. */
  static campus(log: string, ...flags: readonly string[]): Promise<ServerProcess> {
    return ServerProcess.start('src/campus/main.ts', '--port', '0', '--log', log, ...flags)
  }

  async get<T>(path: string): Promise<T> {
    return (await (await fetch(this.url + path)).json()) as T
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

/** Resolves when every application of a campus has committed all that was there for it. */
export async function caughtUp(campus: ServerProcess): Promise<void> {
  for (;;) {
    const applications = await campus.get<readonly { readonly lag: number }[]>('/applications')
    if (applications.every(({ lag }) => lag === 0)) return
    await Bun.sleep(200)
  }
}
