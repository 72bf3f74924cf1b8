/** Commits on a real broker: requests and answers get lost, writers are fenced, members go stale. */
import { consoleConsumer } from '#kafka-for-tests/tools'
import { kafkaForTests } from '#kafka-for-tests'
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'

import { codeOf, fresh } from '../log.contract/harness.ts'
import { appendOf } from '../log.contract/records.ts'
import { heldBy } from '../log.contract/members.ts'
import { type LogWriter, partitionKey, type SealedCommit } from '../log.ts'
import { API, type Fate, type Sent } from './test-helpers/faulty-cluster.ts'
import { GroupRig } from './test-helpers/group-rig.ts'
import { WriterRig } from './test-helpers/writer-rig.ts'
import { KAFKA_FAILPOINTS } from './transactions.ts'

const kafka = await kafkaForTests()
const LONG_MS = 60_000

/** As opposed to looking whether a group has members. */
function isOfTransactions({ api }: Sent): boolean {
  return Object.values(API).includes(api)
}

describe.skipIf(kafka === undefined)('transactions on a broker', () => {
  let rig: WriterRig
  let groupId: string
  let transactionalId: string
  beforeEach(async () => {
    rig = await WriterRig.open(kafka?.bootstrap ?? '')
    groupId = fresh('group')
    transactionalId = fresh('writer')
  })
  afterEach(() => rig.close())

  /** One record into every partition, and an offset. */
  function sealed(n: number): SealedCommit {
    return {
      appends: [0, 1, 2].map((partition) => appendOf(rig.at(partition), [`${n}`])),
      groupId,
      member: undefined,
      offsets: [{ ...rig.at(0), offset: n, metadata: `${n}` }],
    }
  }

  async function committedOffset(): Promise<number | undefined> {
    const offsets = await rig.log.committedOffsets(groupId, [rig.at(0)])
    return offsets.get(partitionKey(rig.at(0)))?.offset
  }

  async function expectExactly(...numbers: readonly number[]): Promise<void> {
    const values = numbers.map((n) => `${n}`)
    for (const partition of [0, 1, 2]) expect(await rig.values(partition)).toEqual(values)
    expect(await committedOffset()).toBe(numbers.at(-1))
  }

  /** The nth request of a kind meets a fate; every other one arrives. */
  function lose(api: number, fate: Fate, nth: number = 1): void {
    let seen = 0
    rig.faulty.decide = (asked) => {
      if (asked !== api) return 'none'
      seen += 1
      return seen === nth ? fate : 'none'
    }
  }

  test('are one Produce, one TxnOffsetCommit and one EndTxn of version 2', async () => {
    const writer = await rig.writer({ transactionalId })
    rig.faulty.sent.length = 0
    for (const n of [1, 2]) expect(codeOf(await writer.commit(sealed(n)))).toBe('committed')
    // A broker that is busy says "again": that is one step all the same.
    const sent = rig.faulty.sent.filter(isOfTransactions)
    const steps = sent.filter(({ api }, at) => api !== sent[at - 1]?.api)
    const requests = steps.map(({ api, version }) => [api, version])
    const cycle = [
      [API.produce, 12],
      [API.offsets, 5],
      [API.endTxn, 5],
    ]
    expect(requests).toEqual([...cycle, ...cycle])
    await expectExactly(1, 2)
  })

  test('pass every failpoint, in order', async () => {
    const passed: string[] = []
    const failpoint = (name: string): void => void passed.push(name)
    const writer = await rig.writer({ transactionalId, failpoint })
    const large = 'x'.repeat(700_000)
    const bytes = Buffer.concat([1, 2].map(() => appendOf(rig.at(0), [large]).bytes))
    const appends = [{ ...rig.at(0), bytes, count: 2 }]
    const result = await writer.commit({ ...sealed(1), appends })
    expect(result.outcome === 'committed' && result.appended).toEqual([{ baseOffset: 0, count: 2 }])
    expect(passed).toEqual([...KAFKA_FAILPOINTS])
  })

  test.each([
    ['Produce', API.produce, 'request'],
    ['Produce', API.produce, 'reply'],
    ['TxnOffsetCommit', API.offsets, 'request'],
    ['TxnOffsetCommit', API.offsets, 'reply'],
    ['EndTxn', API.endTxn, 'request'],
    ['EndTxn', API.endTxn, 'reply'],
  ] as const)('whose %s (%d) loses its %s are repeated, and done once', async (_, api, fate) => {
    const writer = await rig.writer({ transactionalId })
    lose(api, fate, 2)
    for (const n of [1, 2, 3]) expect(codeOf(await writer.commit(sealed(n)))).toBe('committed')
    expect(rig.faulty.count(api, fate)).toBe(1)
    expect(rig.faulty.count(api)).toBeGreaterThanOrEqual(4)
    await expectExactly(1, 2, 3)
  })

  test('of version 2 fence a copy of an earlier EndTxn or Produce that comes late', async () => {
    const writer = await rig.writer({ transactionalId })
    for (const api of [API.endTxn, API.produce]) {
      lose(api, 'late')
      const n = api === API.endTxn ? 1 : 3
      expect(codeOf(await writer.commit(sealed(n)))).toBe('committed')
      let late: readonly unknown[] = []
      // The next transaction is open when the copy arrives.
      rig.faulty.decide = async (asked): Promise<Fate> => {
        if (asked === API.offsets) late = await rig.faulty.deliverLate()
        return 'none'
      }
      expect(codeOf(await writer.commit(sealed(n + 1)))).toBe('committed')
      const code = api === API.endTxn ? 90 : 47
      const codes = [late].flat(2).map((answer) => (answer as { readonly code: number }).code)
      expect(codes).toEqual(api === API.endTxn ? [code] : [code, code, code])
    }
    await expectExactly(1, 2, 3, 4)
  })

  test('whose EndTxn is never answered are unknown, and their writer commits no more', async () => {
    const writer = await rig.writer({ transactionalId, transactionTimeoutMs: 1_500 })
    rig.faulty.decide = (api) => (api === API.endTxn ? 'reply' : 'none')
    expect(codeOf(await writer.commit(sealed(1)))).toBe('unknown LOG_UNAVAILABLE')
    expect(rig.faulty.count(API.endTxn, 'reply')).toBeGreaterThan(1)
    expect(codeOf(await writer.commit(sealed(2)))).toBe('aborted LOG_MISUSE')
    rig.faulty.decide = () => 'none'
    const next = await rig.writer({ transactionalId })
    expect(await committedOffset()).toBe(1)
    expect(codeOf(await next.commit(sealed(2)))).toBe('committed')
    await expectExactly(1, 2)
  })

  test('R3: that a dead writer left open end when the next one of its id opens', async () => {
    const writer = await rig.writer({ transactionalId, transactionTimeoutMs: 60_000 })
    let died: (() => void) | undefined
    const dead = new Promise<void>((resolve) => (died = resolve))
    rig.faulty.decide = (api) => {
      if (api !== API.endTxn) return 'none'
      died?.()
      return new Promise(() => {})
    }
    void writer.commit(sealed(1))
    await dead
    rig.faulty.decide = () => 'none'
    expect(await rig.values(0, 'read-uncommitted')).toEqual(['1'])
    const next = await rig.writer({ transactionalId })
    expect(codeOf(await next.commit(sealed(2)))).toBe('committed')
    await expectExactly(2)
    rig.abandon(writer)
  })

  test('of a writer that is replaced inside its commit are fenced', async () => {
    const writer = await rig.writer({ transactionalId })
    for (const api of [API.produce, API.offsets, API.endTxn]) {
      const stale = api === API.produce ? writer : await rig.writer({ transactionalId })
      let replaced = false
      rig.faulty.decide = async (asked): Promise<Fate> => {
        if (asked !== api || replaced) return 'none'
        replaced = true
        await rig.writer({ transactionalId }, rig.inVersion1())
        return 'none'
      }
      expect(codeOf(await stale.commit(sealed(1)))).toBe('aborted LOG_FENCED')
      expect(replaced).toBe(true)
      expect(codeOf(await stale.commit(sealed(1)))).toBe('aborted LOG_FENCED')
    }
    for (const partition of [0, 1, 2]) expect(await rig.values(partition)).toEqual([])
    expect(await committedOffset()).toBeUndefined()
  })

  test(
    'that outlive their time-out come to nothing, also when their EndTxn arrives after all',
    async () => {
      const writer = await rig.writer({ transactionalId, transactionTimeoutMs: 1_000 })
      rig.faulty.decide = async (api): Promise<Fate> => {
        if (api !== API.endTxn) return 'none'
        // The broker has ended it when readers come past it.
        while ((await rig.log.endOffset(rig.at(0), 'read-committed')) === 0) await Bun.sleep(50)
        return 'late'
      }
      expect(codeOf(await writer.commit(sealed(1)))).toBe('unknown LOG_UNAVAILABLE')
      while (rig.faulty.count(API.endTxn, 'late') === 0) await Bun.sleep(50)
      rig.faulty.decide = () => 'none'
      const [late] = await rig.faulty.deliverLate()
      // The transaction has ended the other way, or its producer is fenced: whichever the broker looks at first.
      expect([48, 90]).toContain((late as { readonly code: number }).code)
      const next = await rig.writer({ transactionalId })
      expect(codeOf(await next.commit(sealed(2)))).toBe('committed')
      await expectExactly(2)
    },
    LONG_MS,
  )

  test(
    'R1: under a generation that has passed, or by who is no member, are fenced',
    async () => {
      const group = await GroupRig.open(kafka?.bootstrap ?? '')
      const first = group.join()
      const old = await first.assigned()
      const second = group.join()
      ;(await first.revoking()).acknowledge()
      const assigned = await Promise.all([first.assigned(), second.assigned()])
      expect(heldBy(...assigned)).toEqual(group.all)
      const current = assigned[0]
      const offsets = [{ topic: group.topic, partition: 0, offset: 1, metadata: '' }]
      const commitAs = async (member: SealedCommit['member']): Promise<string> => {
        const writer = await rig.writer({ transactionalId: fresh('member') })
        const appends = [appendOf(rig.at(0), ['stale'])]
        return codeOf(await writer.commit({ appends, groupId: undefined, member, offsets }))
      }
      expect(await commitAs(old)).toBe('aborted LOG_FENCED')
      expect(await commitAs({ ...current, memberId: 'nobody' })).toBe('aborted LOG_FENCED')
      expect(await commitAs({ ...current, instanceId: 'other' })).toBe('aborted LOG_FENCED')
      expect(await rig.values(0)).toEqual([])
      expect(await commitAs(current)).toBe('committed')
      expect(await rig.values(0)).toEqual(['stale'])
      await group.close()
    },
    LONG_MS,
  )

  test('of version 1 never repeat an EndTxn that was not answered', async () => {
    const version1 = rig.inVersion1()
    const writer = await rig.writer({ transactionalId }, version1)
    for (const n of [1, 2]) expect(codeOf(await writer.commit(sealed(n)))).toBe('committed')
    const versions = new Map(
      version1.sent.filter(isOfTransactions).map(({ api, version }) => [api, version]),
    )
    expect([...versions]).toEqual([
      [API.initProducerId, 5],
      [API.addPartitions, 3],
      [API.produce, 11],
      [API.addOffsets, 4],
      [API.offsets, 4],
      [API.endTxn, 4],
    ])
    version1.decide = (api) => (api === API.endTxn ? 'reply' : 'none')
    expect(codeOf(await writer.commit(sealed(3)))).toBe('unknown LOG_UNAVAILABLE')
    expect(version1.count(API.endTxn)).toBe(3)
    const next = await rig.writer({ transactionalId }, rig.inVersion1())
    expect(codeOf(await next.commit(sealed(4)))).toBe('committed')
    await expectExactly(1, 2, 3, 4)
  })

  test.each([1, 2])('of version %d go on after one that was refused', async (version) => {
    const cluster = version === 1 ? rig.inVersion1() : rig.faulty
    const writer = await rig.writer({ transactionalId }, cluster)
    expect(codeOf(await writer.commit(sealed(1)))).toBe('committed')
    const appends = [...sealed(2).appends, appendOf(rig.at(0), ['x'.repeat(2_000_000)])]
    expect(codeOf(await writer.commit({ ...sealed(2), appends }))).toBe('aborted RECORD_TOO_LARGE')
    expect(codeOf(await writer.commit(sealed(3)))).toBe('committed')
    await expectExactly(1, 3)
  })

  test('of many megabytes lie in order, each append where it says', async () => {
    const writer: LogWriter = await rig.writer({ transactionalId })
    const values = Array.from({ length: 24 }, (_, n) => `${n}`.padStart(3).repeat(100_000))
    const appends = values.map((value, n) => appendOf(rig.at(n % 3), [value, `${n}`]))
    const result = await writer.commit({ ...sealed(1), appends })
    expect(result.outcome === 'committed' && result.appended).toEqual(
      values.map((_, n) => ({ baseOffset: 2 * Math.floor(n / 3), count: 2 })),
    )
    expect(await rig.values(1)).toEqual(
      values.flatMap((value, n) => (n % 3 === 1 ? [value, `${n}`] : [])),
    )
  })

  test(
    'are read by Kafka’s own consumer: what is committed, and nothing else',
    async () => {
      const writer = await rig.writer({ transactionalId })
      const expected: string[] = []
      for (let n = 0; n < 20; n += 1) {
        const isRefused = n % 3 === 1
        const { appends, ...rest } = sealed(n)
        const tooLarge = isRefused ? [appendOf(rig.at(0), ['x'.repeat(1_100_000)])] : []
        const result = await writer.commit({ ...rest, appends: [...appends, ...tooLarge] })
        expect(codeOf(result)).toBe(isRefused ? 'aborted RECORD_TOO_LARGE' : 'committed')
        if (!isRefused) expected.push(`${n}`)
      }
      const read: string[][] = [[], [], []]
      const bootstrap = kafka?.bootstrap ?? ''
      const options = { bootstrap, topic: rig.topic, isolation: 'read_committed' } as const
      for await (const { partition, value } of consoleConsumer(options)) {
        read[partition]?.push(value ?? '')
      }
      expect(read).toEqual([expected, expected, expected])
    },
    LONG_MS,
  )
})
