/**
 * Simulates seed after seed until something is violated, and says in one line of JSON what: run with a bug planted.
 *
 *     MILLRACE_PLANTED=NAME bun --preload ./scripts/planted/preload.ts scripts/planted/search.ts FIRST SEEDS
 *
 * Seed FIRST comes first, then the others from 1 to SEEDS.
 *
 * Invariant: a rewrite that no longer fits what is around it is an error, not a finding.
 */
import { simulate } from '#testing'
import { simulatedBy } from '#simulated-for-tests'
import type { Search } from './search-for.ts'

/** What a mistake in the rewrite itself throws. */
const NOT_A_FINDING = /\b(ReferenceError|SyntaxError|TypeError)\b/

const [first = 1, seeds = 1] = process.argv.slice(2).map(Number)
console.log(JSON.stringify(await search()))
process.exit(0)

async function search(): Promise<Search> {
  const others = Array.from({ length: seeds }, (_, n) => n + 1).filter((seed) => seed !== first)
  const order = [first, ...others]
  for (const [index, seed] of order.entries()) {
    const { name, topology, options } = simulatedBy(seed)
    const { violations } = await simulate(topology, { ...options, seed })
    const [found] = violations
    if (found === undefined) continue
    const { check, what } = found
    if (NOT_A_FINDING.test(what)) throw new Error(`seed ${seed}: ${check}: ${what}`)
    return { tries: index + 1, seed, application: name, check, what }
  }
  return {}
}
