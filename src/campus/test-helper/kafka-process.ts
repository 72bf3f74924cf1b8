/**
 * Processes of campus on brokers that share one folder, as several do on one machine.
 *
 * Invariant: every process that was started here has ended when `remove` resolves.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Application } from '../scenarios/application.ts'
import { Client } from '../scenarios/client.ts'

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

export class KafkaProcess extends Application {
  readonly client: Client = new Client(() => this.url)

  /** On a free port each time, unless the flags say otherwise. */
  constructor(folder: string, bootstrap: string, flags: readonly string[] = []) {
    super(['--port', '0', ...flags], `kafka://${bootstrap}`, folder)
  }

  override async start(failpoint?: string): Promise<number> {
    const readyMs = await super.start(failpoint)
    if (readyMs === undefined) throw new Error(`it never was ready: ${this.complaints.join('\n')}`)
    return readyMs
  }

  async shares(): Promise<readonly ApplicationShare[]> {
    return (await this.client.get<readonly ApplicationShare[]>('/applications')) ?? []
  }

  async share(id: string): Promise<ApplicationShare | undefined> {
    return (await this.shares()).find((share) => share.id === id)
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

  /** Not started yet. */
  add(...flags: readonly string[]): KafkaProcess {
    const added = new KafkaProcess(this.folder, this.#bootstrap, flags)
    this.all.push(added)
    return added
  }

  get complaints(): readonly string[] {
    return this.all.flatMap(({ complaints }) => complaints)
  }

  get rebuilt(): readonly string[] {
    return this.complaints.filter((line) => line.includes('is rebuilt'))
  }

  async remove(): Promise<void> {
    await Promise.all(this.all.map((one) => one.kill()))
    rmSync(this.folder, { recursive: true, force: true })
  }
}
