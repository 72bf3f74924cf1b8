/**
 * One broker process of a cluster: its folder, its start, its readiness and its signals.
 *
 * Invariant: only a process that this folder's pid file names, with the same start time and with this folder's
 * `server.properties` on its command line, is signalled.
 */
import { closeSync, openSync } from 'node:fs'
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { javaCommand } from './jars.ts'
import { identify, isAlive } from './process-identity.ts'
import type { ProcessIdentity } from './process-identity.ts'

const READY = 'Kafka Server started'
const READY_DEADLINE_MS = 180_000
const POLL_MS = 50

export class Broker {
  readonly id: number
  readonly dataFolder: string
  readonly logFile: string
  readonly propertiesFile: string
  readonly #folder: string
  readonly #pidFile: string

  constructor(clusterFolder: string, id: number) {
    this.id = id
    this.#folder = join(clusterFolder, `broker-${id}`)
    this.dataFolder = join(this.#folder, 'data')
    this.logFile = join(this.#folder, 'broker.log')
    this.propertiesFile = join(this.#folder, 'server.properties')
    this.#pidFile = join(this.#folder, 'pid.json')
  }

  async writeProperties(text: string): Promise<void> {
    await mkdir(this.#folder, { recursive: true })
    await writeFile(this.propertiesFile, text)
  }

  async format(jars: string, args: readonly string[]): Promise<void> {
    const command = javaCommand(
      jars,
      'kafka.tools.StorageTool',
      ['format', '--config', this.propertiesFile, ...args],
      { heapMaxMb: 256, isShortRun: true },
    )
    const child = Bun.spawn(command, { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' })
    const [output, errors] = await Promise.all([child.stdout.text(), child.stderr.text()])
    if ((await child.exited) !== 0)
      throw new Error(`broker ${this.id} could not be formatted: ${(output + errors).trim()}`)
  }

  /** Starts the process and waits until the broker serves requests. */
  async start(jars: string, heapMaxMb: number): Promise<void> {
    if ((await this.process()) !== undefined) throw new Error(`broker ${this.id} is running`)
    const logStart = await stat(this.logFile).then(
      ({ size }) => size,
      () => 0,
    )
    const log = openSync(this.logFile, 'a')
    const command = javaCommand(jars, 'kafka.Kafka', [this.propertiesFile], { heapMaxMb })
    // A process group of its own: Ctrl-C in the terminal of whoever started it is not meant for the broker.
    const child = Bun.spawn(command, { stdio: ['ignore', log, log], detached: true })
    closeSync(log)
    child.unref()
    const identity = await this.#identified(child.pid)
    if (identity !== undefined) await writeFile(this.#pidFile, JSON.stringify(identity))
    await this.#ready(logStart, () => child.exitCode !== null || child.signalCode !== null)
  }

  /** The running process, or undefined. */
  async process(): Promise<ProcessIdentity | undefined> {
    const text = await readFile(this.#pidFile, 'utf8').catch(() => undefined)
    if (text === undefined) return undefined
    const known = JSON.parse(text) as ProcessIdentity
    return (await isAlive(known, this.propertiesFile)) ? known : undefined
  }

  /** False if there is no process to signal. */
  async signal(name: 'SIGSTOP' | 'SIGCONT' | 'SIGTERM' | 'SIGKILL'): Promise<boolean> {
    const running = await this.process()
    if (running === undefined) return false
    process.kill(running.pid, name)
    return true
  }

  /** `kill -9`, and waits until the process is gone. */
  async kill(): Promise<boolean> {
    return await this.#end('SIGKILL')
  }

  /** A clean shutdown, in which leaders move away first. */
  async terminate(): Promise<boolean> {
    return await this.#end('SIGTERM')
  }

  async #end(name: 'SIGTERM' | 'SIGKILL'): Promise<boolean> {
    if (!(await this.signal(name))) return false
    while ((await this.process()) !== undefined) await Bun.sleep(POLL_MS)
    await rm(this.#pidFile, { force: true })
    return true
  }

  /** The command line shows only once the child has become Java. */
  async #identified(pid: number): Promise<ProcessIdentity | undefined> {
    for (let attempt = 0; attempt < 100; attempt += 1) {
      const identity = await identify(pid, this.propertiesFile)
      if (identity !== undefined) return identity
      await Bun.sleep(10)
    }
    return undefined
  }

  async #ready(logStart: number, exited: () => boolean): Promise<void> {
    const deadline = performance.now() + READY_DEADLINE_MS
    for (;;) {
      const over = exited() || performance.now() > deadline
      const log = await Bun.file(this.logFile).slice(logStart).text()
      if (log.includes(READY)) return
      if (over) {
        const end = log.trimEnd().split('\n').slice(-20).join('\n')
        throw new Error(`broker ${this.id} did not start; the end of ${this.logFile}:\n${end}`)
      }
      await Bun.sleep(POLL_MS)
    }
  }
}
