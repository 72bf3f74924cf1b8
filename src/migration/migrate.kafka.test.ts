/** To a real broker and back: markers, aborted records, and processes killed inside transactions. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { kafkaForTests } from '#kafka-for-tests'
import { openLog, partitionKey, type Log, type OffsetCommit, type TopicPartition } from '#log'
import { KAFKA_FAILPOINTS } from '#log/kafka'
import { createMemoryLog } from '#log/memory'
import { MIGRATION_FAILPOINTS } from './migrate.ts'
import { append, commit, create, place, read, run, withoutOffsets } from './test-helper/logs.ts'

const MAIN = join(import.meta.dir, '../cli/main.ts')
const kafka = await kafkaForTests()
setDefaultTimeout(120_000)

const HEADERS = [['trace', Buffer.from('t1')] as const]

describe.skipIf(kafka === undefined)('a migration', () => {
  const url = `kafka://${kafka?.bootstrap}`
  const folder = mkdtempSync(join(tmpdir(), 'migrate-kafka-'))
  let broker: Log
  beforeAll(async () => {
    broker = await openLog(url)
  })
  afterAll(async () => {
    await broker.close()
    rmSync(folder, { recursive: true })
  })

  /** A name that nobody else on the broker has. */
  const fresh = (name: string): string => `${name}-${Bun.randomUUIDv7()}`

  async function committed(
    log: Log,
    groupId: string,
    places: readonly TopicPartition[],
  ): Promise<readonly (number | undefined)[]> {
    const found = await log.committedOffsets(groupId, places)
    return places.map((at) => found.get(partitionKey(at))?.offset)
  }

  const offsetsOf = (topic: string, ...offsets: readonly number[]): readonly OffsetCommit[] =>
    offsets.map((offset, partition) => ({ topic, partition, offset, metadata: `${partition}` }))

  test('from a broker leaves out aborted records and closes the gaps of markers', async () => {
    const topic = fresh('orders')
    const groupId = fresh('group')
    await create(broker, topic, 3)
    const records = (text: string) =>
      ['a', 'b'].map((key) => ({ key, value: text, headers: HEADERS }))
    // Offsets 0 and 1, a marker at 2, aborted records and their marker, then two more.
    await commit(broker, [{ ...place(topic), records: records('first') }])
    const writer = { groupId: fresh('nobody'), memberId: 'x', instanceId: undefined, generation: 7 }
    const refused = commit(broker, [{ ...place(topic), records: records('aborted') }], {
      groupId: writer.groupId,
      offsets: offsetsOf(topic, 1),
      member: writer,
    })
    await expect(refused).rejects.toThrow()
    await commit(broker, [{ ...place(topic), records: records('second') }])
    await commit(broker, [{ ...place(topic, 1), records: records('other') }])
    const before = await read(broker, place(topic))
    expect(before.map(({ value }) => value)).toEqual(['first', 'first', 'second', 'second'])
    const third = before[2]?.offset ?? 0
    expect(third).toBeGreaterThan(3)
    // At the third record, in front of the marker behind the last, and in front of what never came.
    await commit(broker, [], { groupId, offsets: offsetsOf(topic, third, 2, 0) })

    const target = createMemoryLog()
    await run(broker, target, { selection: { topics: [topic], groups: [groupId] } })
    const after = await read(target, place(topic))
    expect(after.map(({ offset }) => offset)).toEqual([0, 1, 2, 3])
    expect(withoutOffsets(after)).toEqual(withoutOffsets(before))
    const places = [0, 1, 2].map((partition) => place(topic, partition))
    expect(await committed(target, groupId, places)).toEqual([2, 2, 0])
  })

  test('to a broker and back is the same record by record; committed offsets tell the same record', async () => {
    const topic = fresh('orders')
    const groupId = fresh('group')
    const source = createMemoryLog()
    await create(source, topic, 2, { 'retention.ms': '-1', 'max.message.bytes': '100000' })
    for (let n = 0; n < 300; n += 1) {
      const records = [
        { key: `k${n}`, value: `${n} `.repeat(18_000), timestampMs: n, headers: HEADERS },
      ]
      await append(source, place(topic), records, (['none', 'gzip', 'zstd'] as const)[n % 3])
    }
    await append(source, place(topic, 1), [{ key: null, value: null, timestampMs: 5 }])
    await commit(source, [], { groupId, offsets: offsetsOf(topic, 250, 1) })
    const selection = { topics: [topic], groups: [groupId] }
    const there = await run(source, broker, { selection })
    expect(there.topics[0]?.verified).toMatchObject({ records: 301, removed: 0 })
    const [described] = await broker.describeTopics([topic])
    expect(described?.config).toEqual({ 'retention.ms': '-1', 'max.message.bytes': '100000' })
    const onBroker = await read(broker, place(topic))
    // More than one transaction, so there are markers between.
    expect(onBroker.at(-1)?.offset).toBeGreaterThan(299)
    const places = [place(topic), place(topic, 1)]
    const end = await broker.endOffset(place(topic, 1), 'read-uncommitted')
    expect(await committed(broker, groupId, places)).toEqual([onBroker[250]?.offset, end])
    const back = createMemoryLog()
    const report = await run(broker, back, { selection })
    expect(report.topics[0]?.verified?.digest).toBe(there.topics[0]?.verified?.digest)
    for (const at of places) expect(await read(back, at)).toEqual(await read(source, at))
    expect(await committed(back, groupId, places)).toEqual([250, 1])
  })

  test.each([
    ...MIGRATION_FAILPOINTS,
    ...KAFKA_FAILPOINTS,
    'log:before-end:3',
    'log:after-end:3',
    'migration:after-commit:2',
  ])('kill -9 at %s: the next call goes on, no record twice', async (failpoint) => {
    const topic = fresh('orders')
    const groupId = fresh('group')
    const path = `sqlite:${join(folder, `${topic}.db`)}`
    const source = await openLog(path)
    await create(source, topic, 2)
    const value = 'v'.repeat(50_000)
    for (const partition of [0, 1]) {
      for (let n = 0; n < 10; n += 1) {
        const records = Array.from({ length: 10 }, (_, m) => ({
          key: `${n}-${m}`,
          value,
          timestampMs: n,
        }))
        await append(source, place(topic, partition), records)
      }
    }
    await commit(source, [], { groupId, offsets: offsetsOf(topic, 100, 7) })
    await source.close()

    const migrate = async (env: Readonly<Record<string, string>>) => {
      const args = ['--from', path, '--to', url, '--topics', topic, '--groups', groupId]
      const child = Bun.spawn([process.execPath, MAIN, 'migrate', ...args], {
        stdout: 'pipe',
        stderr: 'pipe',
        env: { ...process.env, ...env },
      })
      const [output, errors] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
      ])
      return { code: await child.exited, signal: child.signalCode, output, errors }
    }
    expect((await migrate({ MILLRACE_FAILPOINT: failpoint })).signal).toBe('SIGKILL')
    const next = await migrate({})
    expect([next.errors, next.code]).toEqual(['', 0])
    const again = await openLog(path)
    const places = [place(topic), place(topic, 1)]
    for (const at of places) {
      expect(withoutOffsets(await read(broker, at))).toEqual(withoutOffsets(await read(again, at)))
    }
    await again.close()
    const seventh = (await read(broker, place(topic, 1)))[7]?.offset
    const end = await broker.endOffset(place(topic), 'read-uncommitted')
    expect(await committed(broker, groupId, places)).toEqual([end, seventh])
  })
})
