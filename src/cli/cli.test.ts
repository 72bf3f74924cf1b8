/** The command line, as a person uses it: real processes on a real log, beside a process that has it open. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RecordBatchWriter, openLog, type Log } from '#log'
import { systemClock, systemRandom } from '#system'

const MAIN = join(import.meta.dir, 'main.ts')
const folder = mkdtempSync(join(tmpdir(), 'cli-'))
const url = `sqlite:${join(folder, 'a.db')}`
let log: Log

async function append(
  key: Uint8Array | null,
  value: string | null,
  partition: number,
): Promise<void> {
  const writer = await log.writer()
  const batch = new RecordBatchWriter()
  batch.add(1_000, key, value === null ? null : Buffer.from(value), [['trace', Buffer.from('t1')]])
  await writer.append({ topic: 'orders', partition, bytes: batch.finish(), count: 1 })
  await writer.close()
}

beforeAll(async () => {
  log = await openLog(url, { clock: systemClock, random: systemRandom })
  const config = { 'retention.ms': '-1' }
  await log.createTopics([{ topic: 'orders', partitions: 2, config }])
  await append(Buffer.from('burger'), '{"qty":1}', 0)
  await append(Buffer.from([0, 1, 255]), null, 1)
  const writer = await log.writer({ transactionalId: 'someone' })
  const offsets = [{ topic: 'orders', partition: 0, offset: 1, metadata: '' }]
  await writer.commit({ appends: [], groupId: 'readers', member: undefined, offsets })
  await writer.close()
})
afterAll(async () => {
  await log.close()
  rmSync(folder, { recursive: true })
})

async function millrace(...args: readonly string[]) {
  const child = Bun.spawn([process.execPath, MAIN, ...args], { stdout: 'pipe', stderr: 'pipe' })
  const [output, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  return { output, errors, code }
}

describe('millrace', () => {
  test('topics: names, partitions, offsets, configs', async () => {
    const { output, code } = await millrace('topics', '--log', url)
    expect(code).toBe(0)
    expect(output).toContain('orders           2        2  retention.ms=-1')
  })

  test('read --json: every field, and bytes that are no text as hex', async () => {
    const { output } = await millrace('read', 'orders', '--from-beginning', '--json', '--log', url)
    expect(
      output
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual([
      {
        topic: 'orders',
        partition: 0,
        offset: 0,
        timestamp: 1_000,
        key: 'burger',
        value: '{"qty":1}',
        headers: [['trace', 't1']],
      },
      {
        topic: 'orders',
        partition: 1,
        offset: 0,
        timestamp: 1_000,
        key: { hex: '0001ff' },
        value: null,
        headers: [['trace', 't1']],
      },
    ])
  })

  test('read: one partition, and no more than the limit', async () => {
    const one = await millrace(
      'read',
      'orders',
      '--from-beginning',
      '--partition',
      '1',
      '--log',
      url,
    )
    expect(one.output).toBe('1@0 1970-01-01T00:00:01.000Z 0x0001ff null trace=t1\n')
    const limited = await millrace(
      'read',
      'orders',
      '--from-beginning',
      '--limit',
      '1',
      '--log',
      url,
    )
    expect(limited.output.trim().split('\n')).toHaveLength(1)
  })

  test('read without --from-beginning shows nothing old, and ends', async () => {
    expect(await millrace('read', 'orders', '--log', url)).toEqual({
      output: '',
      errors: '',
      code: 0,
    })
  })

  test('read --follow shows what arrives from another process, until it is stopped', async () => {
    const args = [
      'read',
      'orders',
      '--follow',
      '--from-beginning',
      '--partition',
      '0',
      '--log',
      url,
    ]
    const child = Bun.spawn([process.execPath, MAIN, ...args], {
      stdout: 'pipe',
      stderr: 'inherit',
    })
    const reader = child.stdout.getReader()
    const decoder = new TextDecoder()
    let text = ''
    const until = async (part: string): Promise<void> => {
      while (!text.includes(part)) text += decoder.decode((await reader.read()).value)
    }
    await until('burger')
    await append(Buffer.from('soup'), '{"qty":2}', 0)
    await until('soup')
    child.kill('SIGTERM')
    expect(await child.exited).toBe(0)
  })

  test('lag: what a group has committed, and how far it is behind', async () => {
    const { output } = await millrace('lag', '--group', 'readers', '--log', url)
    const [titles, row] = output
      .trim()
      .split('\n')
      .map((line) => line.split(/\s+/))
    expect(titles?.slice(0, 6)).toEqual(['GROUP', 'TOPIC', 'PARTITION', 'COMMITTED', 'END', 'LAG'])
    expect(row?.slice(0, 4)).toEqual(['readers', 'orders', '0', '1'])
    expect(Number(row?.[5])).toBe(Number(row?.[4]) - 1)
  })

  const mistakes: readonly (readonly [string, readonly string[], RegExp])[] = [
    ['an unknown topic', ['read', 'nope', '--log', url], /there is no topic nope/],
    [
      'an unknown partition',
      ['read', 'orders', '--partition', '7', '--log', url],
      /partitions 0 to 1/,
    ],
    ['an unknown group', ['lag', '--group', 'nope', '--log', url], /there is no group nope/],
    ['an application that never ran', ['describe', 'nope', '--log', url], /never started/],
    ['a log that is not there', ['topics', '--log', 'sqlite:/nowhere/x.db'], /there is no log/],
    ['a log of an unknown kind', ['topics', '--log', 'redis://x'], /sqlite:/],
    ['an unknown flag', ['topics', '--lgo', url], /unknown option/],
    ['a value that is no number', ['read', 'orders', '--limit', 'x'], /whole number/],
  ]
  test.each(mistakes)('%s is one line and exit code 2', async (_what, args, message) => {
    const { output, errors, code } = await millrace(...args)
    expect(output).toBe('')
    expect(errors).toMatch(message)
    expect(errors).not.toMatch(/^ +at /m)
    expect(code).toBe(2)
  })
})
