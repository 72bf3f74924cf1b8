/**
 * The answer to what cannot be had now, and may be in a moment.
 *
 * Invariant: whoever is told to try again is told when.
 */
import { HttpProblem } from '#millrace/http'

export function tryAgain(why: string): HttpProblem {
  return new HttpProblem(503, `${why}: try again`, { headers: { 'retry-after': '1' } })
}
