import { describe, expect, test } from 'bun:test'

import type { JoinRequest, MemberRef } from '../group-protocol.ts'
import { encodeAssignment, encodeSubscription } from './consumer-protocol.ts'
import { groupTransport } from './coordinator.ts'
import { committedOffsets, commitOffsets } from './group-offsets.ts'
import { type Scripted, ScriptedCluster } from './test-helpers/scripted-cluster.ts'

const JOIN = 11
const LEAVE = 13
const NO_SIGNAL = new AbortController().signal

const REQUEST: JoinRequest = {
  memberId: '',
  instanceId: undefined,
  topics: ['orders'],
  userData: new Uint8Array([1]),
  sessionTimeoutMs: 6_000,
  rebalanceTimeoutMs: 5_000,
}
const REF: MemberRef = { memberId: 'm-1', instanceId: undefined, generation: 4 }

function joined(more: object = {}): object {
  return { errorCode: 0, memberId: 'm-1', generationId: 4, leader: 'm-0', members: [], ...more }
}

function transportOf(...script: readonly Scripted[]) {
  const broker = new ScriptedCluster(...script)
  return { broker, transport: groupTransport(broker, { groupId: 'campus' }) }
}

describe('joining', () => {
  test('takes the name that the broker gives, and joins with it', async () => {
    const { broker, transport } = transportOf({ errorCode: 79, memberId: 'm-1' }, joined())
    const answer = await transport.join(REQUEST, NO_SIGNAL)
    expect(answer).toEqual({ memberId: 'm-1', generation: 4, subscriptions: undefined })
    expect(broker.asked.map(({ api, bytes }) => [api, bytes.includes('m-1')])).toEqual([
      [JOIN, false],
      [JOIN, true],
    ])
  })

  test('keeps the name over a lost connection, so that no second self is waited for', async () => {
    const { broker, transport } = transportOf({ errorCode: 79, memberId: 'm-1' }, 'lost', joined())
    await expect(transport.join(REQUEST, NO_SIGNAL)).rejects.toMatchObject({
      code: 'LOG_UNAVAILABLE',
      retriable: true,
    })
    await transport.join(REQUEST, NO_SIGNAL)
    expect(broker.asked.map(({ bytes }) => bytes.includes('m-1'))).toEqual([false, true, true])
    // The coordinator may be another one now.
    expect(broker.lookups).toBe(2)
  })

  test('gives a name up that the broker does not know any more', async () => {
    const { broker, transport } = transportOf(
      { errorCode: 79, memberId: 'm-1' },
      { errorCode: 25, memberId: '' },
      { errorCode: 79, memberId: 'm-2' },
      joined({ memberId: 'm-2' }),
    )
    expect(await transport.join(REQUEST, NO_SIGNAL)).toEqual({ refused: 'unknown-member' })
    expect(await transport.join(REQUEST, NO_SIGNAL)).toMatchObject({ memberId: 'm-2' })
    expect(broker.asked[2]?.bytes).not.toContain('m-1')
  })

  test('tells the leader what everybody wants', async () => {
    const subscription = { topics: ['orders'], userData: new Uint8Array([1]) }
    const members = [
      { memberId: 'm-1', groupInstanceId: 'one', metadata: encodeSubscription(subscription) },
      { memberId: 'm-2', groupInstanceId: null, metadata: Buffer.from('not ours') },
    ]
    const { transport } = transportOf(joined({ leader: 'm-1', skipAssignment: false, members }))
    expect(await transport.join(REQUEST, NO_SIGNAL)).toMatchObject({
      subscriptions: [
        { memberId: 'm-1', instanceId: 'one', ...subscription },
        { memberId: 'm-2', instanceId: undefined, topics: [] },
      ],
    })
  })

  test('asks a leader that came back for nothing: the assignment is made', async () => {
    const members = [{ memberId: 'm-1', groupInstanceId: 'one', metadata: Buffer.alloc(0) }]
    const { transport } = transportOf(joined({ leader: 'm-1', skipAssignment: true, members }))
    expect(await transport.join({ ...REQUEST, instanceId: 'one' }, NO_SIGNAL)).toMatchObject({
      subscriptions: undefined,
    })
  })

  test.each([14, 15, 16])('looks a coordinator up anew after code %i', async (errorCode) => {
    const { broker, transport } = transportOf({ errorCode }, joined())
    await expect(transport.join(REQUEST, NO_SIGNAL)).rejects.toMatchObject({ retriable: true })
    await transport.join(REQUEST, NO_SIGNAL)
    expect(broker.lookups).toBe(2)
  })

  test.each([
    [23, 'LOG_MISUSE'],
    [26, 'LOG_MISUSE'],
    [30, 'LOG_REFUSED'],
  ])('fails for good with code %i', async (errorCode, code) => {
    const { transport } = transportOf({ errorCode })
    await expect(transport.join(REQUEST, NO_SIGNAL)).rejects.toMatchObject({
      code,
      retriable: false,
      message: expect.stringContaining('campus'),
    })
  })
})

describe('a member that gives up while it waits for others', () => {
  test('leaves, so that they do not wait for it', async () => {
    const { broker, transport } = transportOf({ errorCode: 79, memberId: 'm-1' }, 'never', {
      errorCode: 0,
    })
    const closing = new AbortController()
    const joining = transport.join(REQUEST, closing.signal)
    while (broker.asked.length < 2) await broker.clock.turn()
    closing.abort()
    await expect(joining).rejects.toMatchObject({ code: 'LOG_CLOSED' })
    expect(broker.asked.at(-1)).toMatchObject({ api: LEAVE, purpose: 'group' })
    expect(broker.asked.at(-1)?.bytes).toContain('m-1')
  })

  test('keeps its place if it has an instance id', async () => {
    const { broker, transport } = transportOf('never')
    const closing = new AbortController()
    const request = { ...REQUEST, memberId: 'm-1', instanceId: 'one' }
    const joining = transport.join(request, closing.signal)
    while (broker.asked.length < 1) await broker.clock.turn()
    closing.abort()
    await expect(joining).rejects.toMatchObject({ code: 'LOG_CLOSED' })
    expect(broker.asked).toHaveLength(1)
    await expect(transport.join(request, closing.signal)).rejects.toMatchObject({
      code: 'LOG_CLOSED',
    })
    expect(broker.asked).toHaveLength(1)
  })
})

describe('connections', () => {
  test('what waits for others has one of its own; heartbeats have another', async () => {
    const broker = new ScriptedCluster(joined(), { errorCode: 0 }, joined(), synced())
    const [a, b] = ['a', 'b'].map(() => groupTransport(broker, { groupId: 'campus' }))
    await a?.join(REQUEST, NO_SIGNAL)
    await a?.heartbeat(REF)
    await b?.join(REQUEST, NO_SIGNAL)
    await b?.sync({ ...REF, assignments: undefined }, NO_SIGNAL)
    expect(broker.asked.map(({ purpose, lane }) => [purpose, lane])).toEqual([
      ['join', 'lane-1'],
      ['heartbeat', undefined],
      ['join', 'lane-2'],
      ['join', 'lane-2'],
    ])
  })
})

function synced(): object {
  const partitions = [{ topic: 'orders', partition: 2 }]
  return {
    errorCode: 0,
    assignment: encodeAssignment({ partitions, userData: new Uint8Array() }, 4),
  }
}

describe('refusals', () => {
  test.each([
    [22, 'stale-generation'],
    [25, 'unknown-member'],
    [27, 'rebalancing'],
    [82, 'fenced-instance'],
  ] as const)('code %i is %p, to whatever was asked', async (errorCode, refused) => {
    const refusal = { errorCode, memberId: '', assignment: Buffer.alloc(0) }
    const { transport } = transportOf(refusal, refusal, refusal, refusal)
    expect(await transport.join(REQUEST, NO_SIGNAL)).toEqual({ refused })
    expect(await transport.sync({ ...REF, assignments: undefined }, NO_SIGNAL)).toEqual({ refused })
    expect(await transport.heartbeat(REF)).toEqual({ refused })
    // Whoever is not there has left.
    expect(await transport.leave(REF)).toBeUndefined()
  })

  test('a member that the leader left out is given nothing', async () => {
    const { transport } = transportOf({ errorCode: 0, assignment: Buffer.alloc(0) })
    expect(await transport.sync({ ...REF, assignments: undefined }, NO_SIGNAL)).toEqual({
      partitions: [],
      userData: new Uint8Array(),
    })
  })
})

describe('committed offsets', () => {
  const fetched = (
    errorCode: number,
    ...partitions: readonly (readonly [number, bigint, number])[]
  ) => ({
    groups: [
      {
        errorCode,
        topics: [
          {
            name: 'orders',
            partitions: partitions.map(([partitionIndex, committedOffset, errorCode]) => ({
              partitionIndex,
              committedOffset,
              metadata: 'm',
              errorCode,
            })),
          },
        ],
      },
    ],
  })
  const partitions = [0, 1, 2, 3].map((partition) => ({ topic: 'orders', partition }))

  test('are waited for partition by partition while a transaction may change them (R3)', async () => {
    const broker = new ScriptedCluster(
      fetched(0, [0, 5n, 0], [1, -1n, 88], [2, -1n, 0], [3, -1n, 3]),
      fetched(16),
      fetched(0, [1, 9n, 0]),
    )
    expect(await committedOffsets(broker, 'campus', partitions)).toEqual(
      new Map([
        ['orders-0', { offset: 5, metadata: 'm' }],
        ['orders-1', { offset: 9, metadata: 'm' }],
      ]),
    )
    const lengths = broker.asked.map(({ bytes }) => bytes.length)
    expect(lengths[1]).toBeLessThan(lengths[0] as number)
    expect(broker.lookups).toBe(2)
  })

  test('that stay open until the deadline are an error that names one', async () => {
    const broker = new ScriptedCluster(fetched(0, [1, -1n, 88]))
    await expect(committedOffsets(broker, 'campus', partitions)).rejects.toMatchObject({
      code: 'LOG_UNAVAILABLE',
      retriable: true,
      at: { topic: 'orders', partition: 1 },
    })
  })

  test.each([22, 25, 27, 82])(
    'are refused to whom the group does not know: code %i',
    async (code) => {
      const broken = [{ partitionIndex: 1, errorCode: code }]
      const broker = new ScriptedCluster({ topics: [{ name: 'orders', partitions: broken }] })
      const member = { ...REF, groupId: 'campus' }
      const offsets = [{ topic: 'orders', partition: 1, offset: 3, metadata: '' }]
      await expect(commitOffsets(broker, 'campus', member, offsets, 0)).rejects.toMatchObject({
        code: 'LOG_FENCED',
        retriable: false,
      })
    },
  )
})
