/**
 * Why an append was not acknowledged, and what of it may be in the log all the same.
 *
 * Invariant: "nothing of it was written" is said only where that is certain.
 */
import { type Append, LogError } from '../log.ts'
import type { Pending } from './sender-partition.ts'

/** Its time was up, or, where `isFinal`, nothing that comes will mend what `cause` says. */
export function givenUp(
  { append, startedMs, deadlineMs }: Pending,
  cause: unknown,
  known: { readonly isFinal: boolean; readonly maybeWritten: boolean; readonly written: number },
): LogError {
  const { topic, partition, count } = append
  const at = { topic, partition }
  const what = whatIsWritten(count, known)
  if (cause instanceof LogError && (known.isFinal || cause.code === 'TOPIC_UNKNOWN')) {
    return new LogError(cause.code, `${cause.message}; ${what}`, { at, cause })
  }
  const seconds = (deadlineMs - startedMs) / 1_000
  const why = cause instanceof Error ? `: ${cause.message}` : ''
  const message = `${topic}-${partition}: not acknowledged in ${seconds} s, ${what}${why}`
  return new LogError('LOG_UNAVAILABLE', message, { retriable: !known.isFinal, at, cause })
}

/** The broker looked at it and takes it neither now nor later. */
export function refusal(
  { topic, partition, bytes, count }: Append,
  error: LogError,
  known: { readonly isTooLarge: boolean; readonly writtenOfFirst: number },
): LogError {
  const at = { topic, partition }
  const rest =
    known.writtenOfFirst === 0 ? '' : `; the first ${known.writtenOfFirst} of ${count} are written`
  if (!known.isTooLarge) {
    return new LogError(error.code, `${error.message}${rest}`, { at, cause: error })
  }
  const what = `${count} records of ${bytes.length} bytes are more than the topic takes at once`
  const how = 'raise its max.message.bytes, or write less'
  return new LogError('RECORD_TOO_LARGE', `${topic}-${partition}: ${what}${rest}; ${how}`, {
    at,
    cause: error,
  })
}

function whatIsWritten(
  count: number,
  { maybeWritten, written }: { readonly maybeWritten: boolean; readonly written: number },
): string {
  const first = written === 0 ? '' : `the first ${written} of ${count} records are written, and `
  if (maybeWritten) return `${first}${written === 0 ? 'it' : 'the rest'} may be in the log as well`
  return written === 0 ? 'nothing of it was written' : `${first}the rest is not`
}
