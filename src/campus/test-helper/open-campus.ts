/**
 * Campus whole, in this process, in a folder of its own and on a free port.
 *
 * Invariant: after `remove` nothing runs and nothing is left on disk.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  noFailpoint,
  openLog,
  systemClock,
  systemRandom,
  type Clock,
  type Happening,
} from '#millrace'
import { Campus } from '../campus.ts'
import { readFlags } from '../flags.ts'
import type { CampusRecord } from '../invariants.ts'
import { readRecords } from './read-records.ts'

export interface Answer<T = Record<string, unknown>> {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly body: T
}

export class OpenCampus {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'campus-'))
  readonly logUrl: string = `sqlite:${join(this.folder, 'campus.db')}`
  readonly happenings: Happening[] = []
  readonly #flags: readonly string[]
  /** What campus goes by. */
  clock: Clock = systemClock
  #campus: Campus | undefined

  constructor(flags: readonly string[] = []) {
    this.#flags = flags
  }

  static async start(...flags: readonly string[]): Promise<OpenCampus> {
    const open = new OpenCampus(flags)
    await open.start()
    return open
  }

  async start(): Promise<void> {
    const flags = readFlags(['--port', '0', '--log', this.logUrl, ...this.#flags])
    this.#campus = await Campus.start(flags, {
      clock: this.clock,
      random: systemRandom,
      observer: (happening) => void this.happenings.push(happening),
      failpoint: noFailpoint,
    })
  }

  get url(): string {
    return this.#campus?.url ?? 'http://nowhere'
  }

  async stop(): Promise<void> {
    const campus = this.#campus
    this.#campus = undefined
    await campus?.close()
  }

  async remove(): Promise<void> {
    await this.stop()
    rmSync(this.folder, { recursive: true, force: true })
  }

  // -------------------------------------------------------------- over HTTP

  async send<T = Record<string, unknown>>(
    path: string,
    init: RequestInit = {},
  ): Promise<Answer<T>> {
    const response = await fetch(this.url + path, init)
    const text = await response.text()
    const { status, headers } = response
    const isJson = headers.get('content-type')?.includes('json') === true
    return { status, headers, text, body: (isJson ? JSON.parse(text) : {}) as T }
  }

  get<T = Record<string, unknown>>(path: string): Promise<Answer<T>> {
    return this.send<T>(path)
  }

  post<T = Record<string, unknown>>(
    path: string,
    body: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer<T>> {
    return this.send<T>(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    })
  }

  /** Asks until `until` is content. */
  async eventually<T>(path: string, until: (body: T) => boolean): Promise<T> {
    const endMs = systemClock.elapsedMs() + 20_000
    for (;;) {
      const { status, body, text } = await this.get<T>(path)
      if (status === 200 && until(body)) return body
      if (systemClock.elapsedMs() > endMs) throw new Error(`${path} still says ${text}`)
      await Bun.sleep(10)
    }
  }

  // -------------------------------------------------------------- beside it

  async records(topic: string): Promise<readonly CampusRecord[]> {
    const log = await openLog(this.logUrl, { create: false })
    try {
      return await readRecords(log, topic)
    } finally {
      await log.close()
    }
  }
}
