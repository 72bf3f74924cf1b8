/**
 * Loaded before anything else, it changes source files while they are loaded: `MILLRACE_PLANTED` names the bug.
 *
 *     MILLRACE_PLANTED=unknown-retried bun --preload ./scripts/planted/preload.ts test src/runtime/worker.sim.test.ts
 *
 * Invariant: a file that is changed no longer as its bug was made for fails to load.
 */
import { plugin } from 'bun'
import { join } from 'node:path'
import { rewritten } from './planted-bug.ts'
import { PLANTED_BUGS } from './planted-bugs.ts'

const ROOT = join(import.meta.dir, '../..')
const name = process.env['MILLRACE_PLANTED']
const bug = PLANTED_BUGS.find((each) => each.name === name)
if (bug === undefined) throw new Error(`MILLRACE_PLANTED=${name} is no planted bug`)
const byFile = Map.groupBy(bug.rewrites, ({ file }) => join(ROOT, file))
const escaped = [...byFile.keys()].map((path) => path.replace(/[.\\/]/g, '\\$&'))

plugin({
  name: 'planted bug',
  setup(build) {
    build.onLoad({ filter: new RegExp(`^(${escaped.join('|')})$`) }, async ({ path }) => ({
      contents: rewritten(await Bun.file(path).text(), bug.name, byFile.get(path) ?? []),
      loader: 'ts',
    }))
  },
})
