/** The table of error codes: every row of it, and what is in none. */
import { describe, expect, test } from 'bun:test'

import { failureOf, isBegun, type Step, type Verdict, verdictOf } from './transaction-errors.ts'

const rows = (step: Step, verdict: Verdict, codes: readonly number[]) =>
  codes.map((code) => [step, code, verdict] as const)

describe('an error code', () => {
  test.each([
    // Parallel additions to a transaction, in disguise, and leaders that have moved.
    ...rows('produce', 'retry', [3, 5, 6, 7, 14, 15, 16, 19, 20, 51, 56, 74, 75]),
    ...rows('offsets', 'retry', [3, 7, 14, 15, 16, 51]),
    ...rows('end', 'retry', [14, 15, 16, 51]),
    // Membership: whoever sealed the offsets no longer owns them.
    ...rows('offsets', 'abort', [22, 25, 27, 82, 120]),
    ...rows('produce', 'abort', [45, 48, 49, 53, 59, 120]),
    ...rows('end', 'abort', [120]),
    // A newer writer, or a time-out.
    ...rows('produce', 'fenced', [47, 90]),
    ...rows('offsets', 'fenced', [47, 90]),
    ...rows('end', 'fenced', [47, 90]),
    ...rows('end', 'lost', [-1, 48, 49, 53]),
    // Of nobody's table.
    ...rows('produce', 'abort', [-1, 32, 87, 999]),
    ...rows('offsets', 'abort', [-1, 24, 30]),
    ...rows('end', 'lost', [7, 999]),
  ])('of %s, %d, is to %s', (step, code, verdict) => {
    expect(verdictOf(step, code)).toBe(verdict)
  })

  test('R1: of a stale member is LOG_FENCED to the caller', () => {
    for (const code of [22, 25, 27, 82, 47, 90]) {
      expect(failureOf('offsets', code, 'committing').code).toBe('LOG_FENCED')
    }
  })

  test('of an EndTxn that did not begin leaves nothing open', () => {
    expect([14, 51].map(isBegun)).toEqual([false, false])
    // A coordinator that could not write its log in time may have written it all the same.
    expect([15, 16, -1, 7].map(isBegun)).toEqual([true, true, true, true])
  })
})
