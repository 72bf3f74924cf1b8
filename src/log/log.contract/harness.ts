/**
 * What a driver gives the suite, and what the sections of the suite share.
 *
 * Invariant: tests of one section share a log, so every test draws its own names.
 */
import { expect } from 'bun:test'

import { type CommitResult, type Log, LogError, type TopicPartition } from '../log.ts'

export type LogSection = 'core' | 'durable' | 'multi-process'

export interface LogHarness {
  /** What the driver offers; nothing else is run. */
  readonly sections: readonly LogSection[]
  /** A log with nothing in it. */
  open(): Promise<LogUnderTest>
  /**
   * A log whose members do not go by real time, so that a machine which is busy expels nobody; `open` unless there is one.
   */
  openForMembers?(): Promise<LogUnderTest>
  /** The shortest session that the driver takes; 600 ms unless said. */
  readonly sessionTimeoutMs?: number
  /** Tests that start processes, or wait for sessions and maintenance, may take so many times longer; 1 unless said. */
  readonly patience?: number
}

export interface LogUnderTest {
  readonly log: Log
  /** Brings retention and compaction to their end: runs them, or waits for them. */
  settleMaintenance(): Promise<void>
  /** Lets this long pass on the log's clock; real time unless there is one. */
  pass?(durationMs: number): Promise<void>
  /** Starts a new leader epoch, if the driver can be made to. */
  startLeaderEpoch?(partition: TopicPartition): Promise<void>
  /** `durable`: opens the same data again, after `log` was closed or its process has died. `dispose` closes it too. */
  reopen?(): Promise<Log>
  /** `durable` and `multi-process`: what a child process hands to `openLog`. */
  readonly url?: string
  /** Closes what is open and removes the data. */
  dispose(): Promise<void>
}

export function openForMembers(harness: LogHarness): Promise<LogUnderTest> {
  return harness.openForMembers?.() ?? harness.open()
}

/** A name that nobody has used. */
export function fresh(name: string): string {
  return `${name}-${Bun.randomUUIDv7().slice(-12)}`
}

/** Matches an error by its code. */
export function coded(code: string): unknown {
  return expect.objectContaining({ code })
}

/** How a commit ended, in a word or two. */
export function codeOf(result: CommitResult): string {
  if (result.outcome === 'committed') return 'committed'
  return `${result.outcome} ${result.error instanceof LogError ? result.error.code : 'other'}`
}
