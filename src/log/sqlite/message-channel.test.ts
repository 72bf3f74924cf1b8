import { systemClock as clock, systemRandom as random } from '#system'
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'

import { connectLog } from '../connect-log.ts'
import type { Log } from '../log.ts'
import { codeOf, coded } from '../log.contract/harness.ts'
import { TestMember } from '../log.contract/members.ts'
import { appendOf, readPartition, recordsOf, valuesOf } from '../log.contract/records.ts'
import { type OwnedLog, openSqliteLog } from '../sqlite-log.ts'
import type { ConnectedReport } from '../test-helpers/connected-worker.ts'
import { logFiles } from '../test-helpers/log-files.ts'

const newPath = logFiles()
const place = { topic: 'orders', partition: 0 }
const NOTHING = { appends: [], groupId: undefined, member: undefined, offsets: [] }

let owner: OwnedLog
beforeEach(async () => {
  owner = await openSqliteLog(newPath(), { clock, random })
  await owner.createTopics([{ topic: 'orders', partitions: 2, config: {} }])
})
afterEach(() => owner.close())

const connect = (): Promise<Log> => connectLog(owner.share(), { clock, random })

test('R17: workers reach the log of their process, and their commits go through its one writer', async () => {
  const reports = await Promise.all(
    ['a', 'b'].map((name) => {
      const worker = new Worker(
        new URL('../test-helpers/connected-worker.ts', import.meta.url).href,
      )
      const { driver, value, transfer } = owner.share()
      return new Promise<ConnectedReport>((resolve, reject) => {
        worker.onmessage = ({ data }) => {
          // It has closed the log: there is no lock that could die with it.
          worker.terminate()
          resolve(data)
        }
        worker.onerror = ({ message }) => reject(new Error(message))
        worker.postMessage({ share: { driver, value, transfer: [] }, name }, [...transfer])
      })
    }),
  )
  const values = valuesOf(await readPartition(owner, place))
  for (const [at, name] of ['a', 'b'].entries()) {
    const own = Array.from({ length: 50 }, (_, n) => `${name}-${n}`)
    expect(reports[at]).toMatchObject({ logId: owner.id, outcomes: own.map(() => 'committed') })
    expect(values.filter((value) => value?.startsWith(name))).toEqual(own)
    expect(reports[at]?.values).toEqual(values.slice(0, reports[at]?.values.length))
  }
}, 180_000)

describe('a connected log', () => {
  test('gives the errors of the owner as they are', async () => {
    const log = await connect()
    const failed = log.createTopics([{ topic: 'orders', partitions: 3, config: {} }])
    expect(await failed.catch((error: unknown) => error)).toEqual(coded('TOPIC_MISMATCH'))
    const writer = await log.writer({ transactionalId: 'w' })
    const nowhere = { topic: 'nowhere', partition: 0 }
    const appended = writer.append(appendOf(nowhere, ['a']))
    expect(await appended.catch((error: unknown) => error)).toEqual(
      expect.objectContaining({ code: 'TOPIC_UNKNOWN', at: nowhere, retriable: false }),
    )
    await owner.writer({ transactionalId: 'w' })
    expect(codeOf(await writer.commit(NOTHING))).toBe('aborted LOG_FENCED')
    await log.close()
  })

  test('wakes its readers for what the owner writes, and the owner’s for what it writes', async () => {
    const log = await connect()
    const sides = [
      [log, owner],
      [owner, log],
    ] as const
    for (const [reading, writing] of sides) {
      const reader = reading.reader()
      reader.assign([{ ...place, position: await reading.endOffset(place, 'read-committed') }])
      const polling = reader.poll({ waitMs: 60_000, bytesMax: 1_000 })
      const writer = await writing.writer()
      await writer.append(appendOf(place, ['news']))
      expect(valuesOf(recordsOf(await polling))).toEqual(['news'])
      await reader.close()
    }
    await log.close()
  })

  test('joins groups, with members of the owner beside it', async () => {
    const log = await connect()
    const first = await TestMember.join(owner, { groupId: 'g', topics: ['orders'] })
    await first.assigned()
    const second = await TestMember.join(log, { groupId: 'g', topics: ['orders'] })
    ;(await first.revoking()).acknowledge()
    const [own, others] = await Promise.all([first.assigned(), second.assigned()])
    expect([own.partitions.length, others.partitions.length]).toEqual([1, 1])
    expect(await log.describeGroups(['g'])).toMatchObject([{ state: 'stable' }])
    await log.close()
  })

  test('is not shared again, and closes without the owner', async () => {
    const log = await connect()
    expect(() => log.share()).toThrow(coded('LOG_MISUSE') as Error)
    const writer = await log.writer({ transactionalId: 'w' })
    await log.close()
    await log.close()
    expect(codeOf(await writer.commit(NOTHING))).toMatch(/^(aborted|unknown) LOG_CLOSED$/)
    expect(await owner.describeTopics()).toHaveLength(1)
  })

  test('that loses its owner says so to whoever waits: a commit on its way is unknown', async () => {
    const log = await connect()
    const writer = await log.writer({ transactionalId: 'w' })
    const committing = writer.commit({ ...NOTHING, appends: [appendOf(place, ['a'])] })
    await owner.close()
    expect(codeOf(await committing)).toMatch(/^committed$|^unknown LOG_CLOSED$/)
    const late = log.deleteTopics(['orders'])
    expect(await late.catch((error: unknown) => error)).toEqual(coded('LOG_CLOSED'))
    await log.close()
  })

  test('is of the driver that its share names', async () => {
    const { value, transfer } = owner.share()
    const share = { driver: 'tape', value, transfer }
    const connecting = connectLog(share, { clock, random })
    expect(await connecting.catch((error: unknown) => error)).toEqual(coded('LOG_MISUSE'))
  })
})
