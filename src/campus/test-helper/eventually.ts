/**
 * What a test waits for where nobody tells it: another process, a broker, or a queue that empties by itself.
 *
 * Invariant: what never comes is an error that names it, not a test that hangs.
 */
import { waitUntil } from '../scenarios/kafka/watch.ts'

export async function eventually(
  condition: () => boolean | Promise<boolean>,
  what: string,
  withinMs: number = 90_000,
): Promise<void> {
  if (!(await waitUntil(condition, withinMs))) throw new Error(`not within ${withinMs} ms: ${what}`)
}
