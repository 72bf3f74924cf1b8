/**
 * Waiting for what may heal by itself: a log that is away, a store that its last owner has not closed yet.
 *
 * Invariant: only what its error calls retriable is tried again, with a wait that grows, and a stop ends the wait at once.
 */
import { LogError, type LogErrorCode } from '#log'
import { StateError } from '#state'
import { delay, jitteredBackoffMs } from '#system'
import type { Machine } from './streams-options.ts'

const BACKOFF_MS_BASE = 50

export interface RetryOptions {
  readonly machine: Machine
  readonly backoffMsMax: number
  readonly signal: AbortSignal
  /** Told each failure that will be tried again. */
  readonly onRetry: (error: unknown) => void
}

/** Undefined: stopped before it succeeded. */
export async function retrying<T>(
  options: RetryOptions,
  attempt: () => Promise<T>,
): Promise<T | undefined> {
  for (let attempts = 0; !options.signal.aborted; attempts += 1) {
    try {
      return await attempt()
    } catch (error) {
      if (options.signal.aborted) return undefined
      if (!mayHeal(error)) throw error
      options.onRetry(error)
    }
    await backOff(options, attempts)
  }
  return undefined
}

/** A jittered wait that grows with `attempts`, counted from 0. */
export function backOff(options: RetryOptions, attempts: number): Promise<void> {
  const { machine, backoffMsMax, signal } = options
  const bounds = { baseMs: BACKOFF_MS_BASE, maxMs: backoffMsMax }
  return delay(machine.clock, jitteredBackoffMs(machine.random, attempts, bounds), signal)
}

export function mayHeal(error: unknown): boolean {
  if (error instanceof LogError) return error.retriable || error.code === 'OFFSET_OUT_OF_RANGE'
  return (
    error instanceof StateError && (error.code === 'STORE_LOCKED' || error.code === 'STORE_FAILED')
  )
}

/** What the log refuses again however often it is asked: only a person can mend it. */
const PERMANENT: ReadonlySet<LogErrorCode> = new Set<LogErrorCode>([
  'LOG_CORRUPT',
  'LOG_REFUSED',
  'RECORD_TOO_LARGE',
  'TOPIC_INVALID',
  'TOPIC_MISMATCH',
  'TOPIC_UNKNOWN',
])

export function isPermanent(error: unknown): boolean {
  return error instanceof LogError && !error.retriable && PERMANENT.has(error.code)
}
