/**
 * `bun run check`: formatting, lint and types, all three even when one fails, so that one run tells everything.
 *
 * Invariant: exit code 0 means that every check ran and passed.
 */
const checks: readonly (readonly [title: string, command: readonly string[]])[] = [
  ['format', ['bun', 'fmt', '--check', 'src', 'state', 'topology', 'bench', 'scripts']],
  ['lint', ['bunx', 'oxlint', '--deny-warnings']],
  ['types of the library', ['bun', 'check', '--no-script', '--project', 'tsconfig.json']],
  [
    'types of campus and examples',
    ['bun', 'check', '--no-script', '--project', 'src/campus/tsconfig.json'],
  ],
]

let failed = 0
for (const [title, command] of checks) {
  const started = performance.now()
  const child = Bun.spawn([...command], { stdout: 'pipe', stderr: 'pipe' })
  const [output, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  console.log(`${code === 0 ? 'ok    ' : 'failed'} ${title} (${seconds} s)`)
  if (code === 0) continue
  failed += 1
  console.log(output + errors)
}
process.exit(failed === 0 ? 0 : 1)
