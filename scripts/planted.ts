/**
 * `bun run planted [NAME…]`: plants each bug in the engine while it is loaded, and has the simulator look for it.
 *
 *     bun run planted                             all of them, one after the other
 *     bun run planted unknown-retried             only this one
 *     --seeds 5000                                look no further than that
 *     --from-seed-1                               start at seed 1, not at the seed that is known to find it
 *
 * Invariant: exit code 0 means that each one was found.
 */
import { parseArgs } from 'node:util'
import { PLANTED_BUGS } from './planted/planted-bugs.ts'
import { searchFor } from './planted/search-for.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seeds: { type: 'string', default: '5000' },
    'from-seed-1': { type: 'boolean', default: false },
  },
})
const seeds = Number(values.seeds)
const unknown = positionals.filter((name) => !PLANTED_BUGS.some((bug) => bug.name === name))
if (unknown.length > 0 || !Number.isSafeInteger(seeds) || seeds < 1) {
  console.error(`usage: bun run planted [NAME…] [--seeds N] [--from-seed-1]\nwith NAME of`)
  for (const { name, rule, what } of PLANTED_BUGS) console.error(`  ${name} (${rule}): ${what}`)
  process.exit(2)
}

const chosen = PLANTED_BUGS.filter(
  ({ name }) => positionals.length === 0 || positionals.includes(name),
)
console.log('| planted bug | seeds | found at | by | s |\n|---|---|---|---|---|')
let missed = 0
for (const bug of chosen) {
  const startedMs = performance.now()
  const found = await searchFor(bug, { seeds, first: values['from-seed-1'] ? 1 : bug.seed })
  if (found.tries === undefined) missed += 1
  const by =
    found.tries === undefined
      ? `${seeds} | nothing | `
      : `${found.tries} | ${found.seed} (${found.application}) | ${found.check}`
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1)
  console.log(`| ${bug.name} | ${by} | ${seconds} |`)
}
console.log(`${chosen.length - missed} of ${chosen.length} found`)
process.exit(missed === 0 ? 0 : 1)
