/** `millrace migrate`, as a real process on real files: killed at every step, and told what it cannot do. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  openLog,
  partitionKey,
  RecordBatchWriter,
  RecordCursor,
  type Log,
  type TopicPartition,
} from '#log'
import { MIGRATION_FAILPOINTS } from '#migration'
import { systemClock, systemRandom } from '#system'

const MAIN = join(import.meta.dir, 'main.ts')
const folder = mkdtempSync(join(tmpdir(), 'migrate-'))
const source = `sqlite:${join(folder, 'source.db')}`
const PARTITIONS = 2
/** More than two commits' worth. */
const RECORDS = 6_000
const VALUE = 'v'.repeat(1_000)
const GROUP = 'readers'

const open = (url: string): Promise<Log> =>
  openLog(url, { clock: systemClock, random: systemRandom })

beforeAll(async () => {
  const log = await open(source)
  const config = { 'retention.ms': '-1' }
  await log.createTopics([
    { topic: 'orders', partitions: PARTITIONS, config },
    { topic: 'small', partitions: 1, config },
  ])
  const writer = await log.writer({ transactionalId: 'filler' })
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    const batch = new RecordBatchWriter()
    for (let n = 0; n < RECORDS; n += 1) {
      batch.add(n, Buffer.from(`k${n}`), Buffer.from(`${n} ${VALUE}`), [])
      if (n % 500 !== 499) continue
      await writer.append({ topic: 'orders', partition, bytes: batch.finish(), count: 500 })
    }
  }
  const batch = new RecordBatchWriter()
  batch.add(1, null, Buffer.from('one'), [])
  await writer.append({ topic: 'small', partition: 0, bytes: batch.finish(), count: 1 })
  const offsets = [
    { topic: 'orders', partition: 0, offset: RECORDS, metadata: 'all' },
    { topic: 'orders', partition: 1, offset: 7, metadata: 'some' },
  ]
  await writer.commit({ appends: [], groupId: GROUP, member: undefined, offsets })
  await writer.close()
  await log.close()
})
afterAll(() => rmSync(folder, { recursive: true }))

let targets = 0
let path = ''
let target = ''
beforeEach(() => {
  targets += 1
  path = join(folder, `target-${targets}.db`)
  target = `sqlite:${path}`
})

async function migrate(failpoint: string, ...args: readonly string[]) {
  const child = Bun.spawn(
    [process.execPath, MAIN, 'migrate', '--from', source, '--to', target, ...args],
    {
      stdout: 'pipe',
      stderr: 'pipe',
      env: { ...process.env, ...(failpoint !== '' && { MILLRACE_FAILPOINT: failpoint }) },
    },
  )
  const [output, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  return { output, errors, code, signal: child.signalCode }
}

/** A line for each record, with its offset. */
async function read(log: Log, at: TopicPartition): Promise<readonly string[]> {
  const end = await log.endOffset(at, 'read-committed')
  const lines: string[] = []
  const reader = log.reader()
  reader.assign([{ ...at, position: 0 }])
  const cursor = new RecordCursor()
  while (lines.length < end) {
    for (const batch of await reader.poll({ waitMs: 1_000, bytesMax: 1 << 22 })) {
      cursor.open(batch.bytes, batch)
      while (cursor.next()) {
        const { buffer, keyStart, keyEnd, valueStart, valueEnd, offset, timestampMs } = cursor
        const key = keyStart < 0 ? null : buffer.utf8Slice(keyStart, keyEnd)
        lines.push(`${offset} ${timestampMs} ${key} ${buffer.utf8Slice(valueStart, valueEnd)}`)
      }
    }
  }
  await reader.close()
  return lines
}

async function expectWhole(): Promise<void> {
  const [before, after] = [await open(source), await open(target)]
  const places = [0, 1].map((partition) => ({ topic: 'orders', partition }))
  for (const place of [...places, { topic: 'small', partition: 0 }]) {
    const lines = await read(after, place)
    expect(Bun.hash(lines.join('\n'))).toBe(Bun.hash((await read(before, place)).join('\n')))
    expect(lines.length).toBe(place.topic === 'small' ? 1 : RECORDS)
  }
  const committed = await after.committedOffsets(GROUP, places)
  expect(places.map((place) => committed.get(partitionKey(place)))).toEqual([
    { offset: RECORDS, metadata: 'all' },
    { offset: 7, metadata: 'some' },
  ])
  await before.close()
  await after.close()
}

describe('kill -9 at', () => {
  test.each([
    ...MIGRATION_FAILPOINTS,
    'migration:before-commit:3',
    'migration:after-commit:2',
    'log:received:2',
    'log:before-commit:4',
    'log:after-commit:5',
    'log:after-commit:6',
  ])(
    '%s: the next call goes on, no record twice',
    async (failpoint) => {
      const killed = await migrate(failpoint)
      expect(killed.signal).toBe('SIGKILL')
      const next = await migrate('')
      expect([next.errors, next.code]).toEqual(['', 0])
      await expectWhole()
    },
    60_000,
  )

  test('any moment, again and again', async () => {
    let kills = 0
    // By shares of what went before: many kills on any machine, and few that are long on a slow one.
    for (let waitMs = 40; ; waitMs *= 1.15) {
      const child = Bun.spawn(
        [process.execPath, MAIN, 'migrate', '--from', source, '--to', target],
        { stdout: 'ignore', stderr: 'ignore', timeout: Math.round(waitMs), killSignal: 'SIGKILL' },
      )
      await child.exited
      if (child.signalCode === null) break
      kills += 1
    }
    expect(kills).toBeGreaterThan(3)
    expect((await migrate('')).code).toBe(0)
    await expectWhole()
  }, 120_000)
})

describe('says', () => {
  test('what it has done, and that it was done before', async () => {
    const { output, code } = await migrate('')
    expect(code).toBe(0)
    expect(output).toMatch(/^TOPIC +PARTITIONS +COPIED +COMPARED +REMOVED +DIGEST$/m)
    expect(output).toMatch(/^orders +2 +12000 +12000 +0 +[0-9a-f]{16}$/m)
    expect(output).toMatch(/12001 records and the offsets of 1 groups migrated in .* s: readers/)
    const again = await migrate('')
    expect(again.code).toBe(0)
    expect(again.output).toContain('everything had been migrated before')
  }, 180_000)

  test('what it would do, with --dry-run, and makes nothing', async () => {
    const { output, code } = await migrate('', '--dry-run')
    expect(code).toBe(0)
    expect(output).toMatch(/^orders +2 +12000 +new +retention.ms=-1$/m)
    expect(output).toMatch(/^readers +2 +new$/m)
    expect(existsSync(path)).toBe(false)
    await migrate('migration:before-commit:2')
    const begun = await migrate('', '--dry-run')
    const left = Number(/^orders +2 +(\d+) +begun/m.exec(begun.output)?.[1])
    expect(left).toBeGreaterThan(0)
    expect(left).toBeLessThan(2 * RECORDS)
  }, 180_000)

  test('what was chosen only, and not compared with --no-verify', async () => {
    const { output, code } = await migrate('', '--topics', 'small', '--groups', '', '--no-verify')
    expect(code).toBe(0)
    expect(output).toMatch(/^small +1 +1 +- +- +-$/m)
    expect(output).not.toContain('orders')
  }, 180_000)

  test('who holds a group, and goes on once it is empty', async () => {
    const log = await open(source)
    const member = await log.join({
      groupId: GROUP,
      instanceId: 'the-holder',
      topics: ['orders'],
      userData: () => new Uint8Array(),
      assignor: () => new Map(),
      sessionTimeoutMs: 30_000,
      rebalanceTimeoutMs: 30_000,
    })
    while ((await log.describeGroups([GROUP]))[0]?.members.length !== 1) await Bun.sleep(5)
    const { errors, code } = await migrate('')
    expect(errors).toMatch(/^group readers has members on the source \(the-holder\): stop them/)
    expect(code).toBe(2)
    expect(existsSync(path)).toBe(false)
    await member.close({ leave: true })
    await log.close()
    expect((await migrate('')).code).toBe(0)
  }, 60_000)

  test.each([
    ['an unknown topic', ['--topics', 'nope'], /there is no topic nope on the source/],
    ['the log itself', ['--to', source], /the same log/],
    ['a source that is not there', ['--from', 'sqlite:/nowhere/x.db'], /there is no log/],
    ['a target of an unknown kind', ['--to', 'redis://x'], /sqlite:/],
  ])('%s in one line, with exit code 2', async (_what, args, message) => {
    const { output, errors, code } = await migrate('', ...args)
    expect(output).toBe('')
    expect(errors).toMatch(message)
    expect(errors.trimEnd().split('\n')).toHaveLength(1)
    expect(code).toBe(2)
    expect(existsSync(path)).toBe(false)
  })
})
