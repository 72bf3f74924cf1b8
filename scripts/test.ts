/**
 * `bun run test [files…]`: every test, with `N passed, N failed, N skipped` as the last line, which CI counts.
 *
 * Invariant: the exit code is 0 only if something ran, nothing failed, and in CI nothing was skipped.
 */
import { removeAbandoned } from './kafka/cluster.ts'

const files = process.argv.slice(2)
const child = Bun.spawn(['bun', 'test', '--timeout', '120000', ...files], {
  stdout: 'inherit',
  stderr: 'pipe',
  env: { ...process.env, NO_COLOR: '1' },
})

// bun test reports on stderr; it is passed through as it comes, and its closing counts are read from it.
const counts = { pass: 0, fail: 0, skip: 0, todo: 0 }
const decoder = new TextDecoder()
let tail = ''
for await (const chunk of child.stderr) {
  process.stderr.write(chunk)
  tail += decoder.decode(chunk, { stream: true })
  const lines = tail.split('\n')
  tail = lines.pop() ?? ''
  for (const line of lines) count(line)
}
count(tail)
const code = await child.exited
// The Kafka of the test run, if it started one, which ends without a word from its owner.
await removeAbandoned()

function count(line: string): void {
  const match = /^\s*(\d+) (pass|fail|skip|todo)$/.exec(line)
  if (match !== null) counts[match[2] as keyof typeof counts] = Number(match[1])
}

const skipped = counts.skip + counts.todo
const ran = counts.pass + counts.fail
// A crash of the runner or of a file shows in its exit code alone.
const failed = counts.fail === 0 && code !== 0 ? 1 : counts.fail
console.log(`${counts.pass} passed, ${failed} failed, ${skipped} skipped`)
const skipForbidden = process.env['CI'] !== undefined && skipped > 0
process.exit(failed > 0 || ran === 0 || skipForbidden ? 1 : 0)
