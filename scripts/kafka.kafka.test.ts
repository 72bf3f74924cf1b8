import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { kafkaForTests } from './kafka/cluster.ts'

const kafka = await kafkaForTests()
const ROOT = join(import.meta.dir, '..')
const folder = mkdtempSync(join(tmpdir(), 'millrace-kafka-command-'))
const dir = join(folder, 'cluster')

async function command(...args: string[]): Promise<{ code: number; output: string }> {
  // A test run ends its descendants with it; whoever calls `up` from a shell does not.
  const { BUN_FEATURE_FLAG_NO_ORPHANS: _, ...env } = process.env
  const child = Bun.spawn([process.execPath, 'run', 'kafka', ...args, '--dir', dir], {
    cwd: ROOT,
    env,
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [output, errors] = await Promise.all([child.stdout.text(), child.stderr.text()])
  return { code: await child.exited, output: output + errors }
}

afterAll(async () => {
  await command('down')
  rmSync(folder, { recursive: true })
})

test.skipIf(kafka === undefined)(
  'a cluster outlives the `up` that started it; kill, start and down find it again',
  async () => {
    const up = await command('up', '--port', '0')
    expect(up.output).toMatch(/bootstrap: 127\.0\.0\.1:\d+/)
    expect(up.code).toBe(0)
    expect((await command('status')).output).toMatch(/broker 1 {2}127\.0\.0\.1:\d+ {2}pid \d+/)

    expect((await command('kill', '1')).code).toBe(0)
    const killed = await command('status')
    expect(killed.output).toMatch(/broker 1 .* down/)
    expect(killed.code).toBe(1)
    expect((await command('start', '1')).code).toBe(0)
    expect((await command('status')).code).toBe(0)

    expect((await command('down')).output).toContain('down')
    expect((await command('status')).output).toContain('no cluster in')
  },
  120_000,
)
