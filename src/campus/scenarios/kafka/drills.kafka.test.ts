/** The drills at a small size, as the commands that they are. Reports of long runs are in docs/reports. */
import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { kafkaForTests } from '#kafka-for-tests'

const MAIN = join(import.meta.dir, '../main.ts')
const DRILL_MS_MAX = 600_000

const kafka = await kafkaForTests()

async function drill(name: string, ...flags: string[]): Promise<string> {
  const command = [process.execPath, MAIN, name, '--rounds', '1', ...flags]
  const child = Bun.spawn(command, { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' })
  const [output, errors] = await Promise.all([child.stdout.text(), child.stderr.text()])
  const code = await child.exited
  if (code !== 0) console.log(output + errors)
  expect(code).toBe(0)
  return output
}

describe.skipIf(kafka === undefined)('a small drill finds every invariant held', () => {
  test.each(['kafka-kill', 'kafka-broker', 'kafka-proxy', 'kafka-zombie'])(
    '%s',
    async (name) => {
      expect(await drill(name, '--orders', '500', '--quick')).toContain('every invariant holds')
    },
    DRILL_MS_MAX,
  )

  test(
    'kafka-rebalance, and every minute closes: windows and late records are all orders (I9)',
    async () => {
      const output = await drill('kafka-rebalance', '--orders', '500', '--rounds', '4')
      expect(output).toMatch(/closed minutes +[1-9]/)
    },
    DRILL_MS_MAX,
  )
})

test('a name that is no drill is told the usage, with exit code 2', async () => {
  const child = Bun.spawn([process.execPath, MAIN, 'kafka-none'], { stdout: 'pipe' })
  expect(await child.stdout.text()).toContain('kafka-rebalance')
  expect(await child.exited).toBe(2)
})
