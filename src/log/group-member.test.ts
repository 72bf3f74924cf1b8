import { systemRandom } from '#system'
import { VirtualClock } from '#testing'
import { describe, expect, test } from 'bun:test'

import { startGroupMember } from './group-member.ts'
import type {
  GroupTransport,
  JoinAnswer,
  JoinRequest,
  Refused,
  SyncAnswer,
} from './group-protocol.ts'
import { type GroupMember, type JoinOptions, LogError, type MembershipEvent } from './log.ts'

const HEARTBEAT_MS = 100
const unavailable = (): LogError => new LogError('LOG_UNAVAILABLE', 'no way', { retriable: true })

type Scripted<T> = T | LogError | 'hangs'

/** A coordinator that answers from a script; when a script is empty it is content. */
class Script implements GroupTransport {
  readonly requests: string[] = []
  joins: Scripted<JoinAnswer>[] = []
  syncs: Scripted<SyncAnswer>[] = []
  heartbeats: Scripted<'ok' | Refused>[] = []
  lastJoin: JoinRequest | undefined
  generation: number = 0

  async join(request: JoinRequest, signal: AbortSignal): Promise<JoinAnswer> {
    this.lastJoin = request
    const next = { memberId: 'm1', generation: (this.generation += 1), subscriptions: undefined }
    return this.#answer(`join ${request.memberId}`, this.joins, next, signal)
  }

  async sync(ref: { generation: number }, signal: AbortSignal): Promise<SyncAnswer> {
    const content = { partitions: [{ topic: 't', partition: 0 }], userData: new Uint8Array() }
    return this.#answer(`sync ${ref.generation}`, this.syncs, content, signal)
  }

  async heartbeat(ref: { generation: number }): Promise<'ok' | Refused> {
    return this.#answer(`heartbeat ${ref.generation}`, this.heartbeats, 'ok')
  }

  async leave(ref: { memberId: string }): Promise<void> {
    await this.#answer<Scripted<string>>(`leave ${ref.memberId}`, [], 'ok')
  }

  async partitionCounts(): Promise<ReadonlyMap<string, number>> {
    return new Map([['t', 1]])
  }

  async #answer<T>(
    request: string,
    script: Scripted<T>[],
    otherwise: T,
    signal?: AbortSignal,
  ): Promise<T> {
    this.requests.push(request)
    const answer = script.shift() ?? otherwise
    if (answer instanceof LogError) throw answer
    if (answer !== 'hangs' || request.startsWith('leave')) return answer as T
    return new Promise((_, reject) => {
      signal?.addEventListener('abort', () => reject(new LogError('LOG_CLOSED', 'aborted')))
    })
  }
}

function start(script: Script, options: Partial<JoinOptions> = {}) {
  const clock = new VirtualClock()
  const member = startGroupMember(
    {
      groupId: 'g',
      topics: ['t'],
      userData: () => new Uint8Array(),
      assignor: () => new Map(),
      sessionTimeoutMs: 3 * HEARTBEAT_MS,
      rebalanceTimeoutMs: 1_000,
      ...options,
    },
    { transport: script, clock, random: systemRandom },
  )
  /** Lets everything happen that happens within `ms`. */
  const pass = async (ms: number): Promise<void> => {
    const endMs = clock.elapsedMs() + ms
    await clock.turn()
    while (clock.nextTimerMs <= endMs) {
      clock.advance(clock.nextTimerMs - clock.elapsedMs())
      await clock.turn()
    }
    clock.advance(endMs - clock.elapsedMs())
  }
  return { clock, member, pass }
}

function taken(member: GroupMember): readonly MembershipEvent[] {
  const events: MembershipEvent[] = []
  for (let event = member.take(); event; event = member.take()) events.push(event)
  return events
}

const kindsOf = (member: GroupMember): readonly string[] =>
  taken(member).map((event) => (event.kind === 'lost' ? `lost ${event.rejoining}` : event.kind))

const refused = (reason: Refused['refused']): Refused => ({ refused: reason })

describe('a group member', () => {
  test('joins, syncs, and sends a heartbeat every third of a session', async () => {
    const script = new Script()
    const { member, pass } = start(script)
    await pass(0)
    expect(script.requests).toEqual(['join ', 'sync 1'])
    expect(member.assignment).toBeUndefined()
    expect(kindsOf(member)).toEqual(['assigned'])
    expect(member.assignment).toMatchObject({ memberId: 'm1', generation: 1, groupId: 'g' })
    await pass(10 * HEARTBEAT_MS)
    expect(script.requests.slice(2)).toEqual(Array(10).fill('heartbeat 1'))
    await member.close({ leave: true })
    expect(script.requests.at(-1)).toBe('leave m1')
  })

  test('noticing a rebalance lets its owner finish, with heartbeats, before it rejoins', async () => {
    const script = new Script()
    const { member, pass } = start(script)
    await pass(0)
    taken(member)
    script.heartbeats = [refused('rebalancing'), refused('rebalancing'), 'ok']
    await pass(5 * HEARTBEAT_MS)
    expect(script.requests.slice(2)).toEqual(Array(5).fill('heartbeat 1'))
    const [revoking, ...more] = taken(member)
    expect([revoking?.kind, more]).toEqual(['revoking', []])
    expect(member.assignment?.generation).toBe(1)
    if (revoking?.kind === 'revoking') revoking.acknowledge()
    await pass(0)
    expect(script.requests.slice(-2)).toEqual(['join m1', 'sync 2'])
    expect(kindsOf(member)).toEqual(['assigned'])
    expect(member.assignment?.generation).toBe(2)
    await member.close({ leave: false })
    expect(script.requests.at(-1)).toBe('sync 2')
  })

  test('that holds nothing rejoins without asking', async () => {
    const script = new Script()
    script.syncs = [{ partitions: [], userData: new Uint8Array() }]
    const { member, pass } = start(script)
    await pass(0)
    script.heartbeats = [refused('rebalancing')]
    await pass(HEARTBEAT_MS)
    expect(kindsOf(member)).toEqual(['assigned', 'assigned'])
    await member.close({ leave: false })
  })

  test('asked to rejoin does so once, at once, with fresh user data', async () => {
    const script = new Script()
    let version = 0
    const { member, pass } = start(script, { userData: () => new Uint8Array([(version += 1)]) })
    await pass(0)
    taken(member)
    member.rejoin()
    member.rejoin()
    await pass(0)
    member.rejoin()
    const [revoking] = taken(member)
    if (revoking?.kind === 'revoking') revoking.acknowledge()
    await pass(0)
    expect(script.requests).toEqual(['join ', 'sync 1', 'join m1', 'sync 2'])
    expect(script.lastJoin?.userData).toEqual(new Uint8Array([2]))
    expect(kindsOf(member)).toEqual(['assigned'])
    await member.close({ leave: false })
  })

  test('asked to rejoin while it joins asks for another rebalance after', async () => {
    const script = new Script()
    const { member, pass } = start(script)
    let asked = false
    script.sync = async () => {
      if (!asked) member.rejoin()
      asked = true
      return { partitions: [], userData: new Uint8Array() }
    }
    await pass(10 * HEARTBEAT_MS)
    expect(script.requests.filter((request) => request.startsWith('join'))).toHaveLength(2)
    await member.close({ leave: false })
  })

  test('waits out errors that may pass, wherever they meet it', async () => {
    const script = new Script()
    script.joins = [unavailable(), unavailable()]
    script.syncs = [unavailable()]
    script.heartbeats = [unavailable(), 'ok']
    const { member, pass } = start(script)
    await pass(10_000)
    expect(script.requests.slice(0, 5)).toEqual(['join ', 'join ', 'join ', 'sync 3', 'sync 3'])
    expect(kindsOf(member)).toEqual(['assigned'])
    await member.close({ leave: false })
  })

  test.each([
    ['an error that stays', () => new LogError('LOG_REFUSED', 'not you')],
    ['a closed log', () => new LogError('LOG_CLOSED', 'gone')],
  ])('ends with %s, and says so', async (_, error) => {
    const script = new Script()
    script.heartbeats = [error()]
    const { member, pass } = start(script)
    await pass(10 * HEARTBEAT_MS)
    const [lost, ...more] = taken(member)
    expect(lost).toMatchObject({ kind: 'lost', rejoining: false, error: { code: error().code } })
    expect(more).toEqual([])
    expect(script.requests).toHaveLength(3)
    await member.close({ leave: true })
    expect(script.requests).toHaveLength(3)
  })

  test('whose assignor throws ends with what it threw', async () => {
    const script = new Script()
    script.joins = [{ memberId: 'm1', generation: 1, subscriptions: [] }]
    const assignor = (): never => {
      throw new TypeError('cannot divide')
    }
    const { member, pass } = start(script, { assignor })
    await pass(0)
    const [lost] = taken(member)
    expect(lost).toMatchObject({ kind: 'lost', rejoining: false })
    expect(lost?.kind === 'lost' && lost.error).toBeInstanceOf(TypeError)
  })

  test('that is expelled loses everything and comes back as a new member', async () => {
    const script = new Script()
    const { member, pass } = start(script)
    await pass(0)
    script.heartbeats = [refused('unknown-member')]
    await pass(HEARTBEAT_MS)
    // What was assigned and not yet taken is void.
    expect(kindsOf(member)).toEqual(['lost true', 'assigned'])
    expect(script.requests.slice(3)).toEqual(['join ', 'sync 2'])
    await member.close({ leave: false })
  })

  test('that is expelled while its owner finishes loses everything; letting go comes too late', async () => {
    const script = new Script()
    const { member, pass } = start(script)
    await pass(0)
    taken(member)
    script.heartbeats = [refused('rebalancing'), refused('unknown-member')]
    await pass(HEARTBEAT_MS)
    const [revoking] = taken(member)
    await pass(HEARTBEAT_MS)
    expect(member.assignment).toBeUndefined()
    if (revoking?.kind === 'revoking') revoking.acknowledge()
    expect(kindsOf(member)).toEqual(['lost true', 'assigned'])
    await pass(HEARTBEAT_MS)
    expect(kindsOf(member)).toEqual([])
    await member.close({ leave: false })
  })

  test('whose generation is over loses everything and comes back under its id', async () => {
    const script = new Script()
    const { member, pass } = start(script)
    await pass(0)
    taken(member)
    script.heartbeats = [refused('stale-generation')]
    await pass(HEARTBEAT_MS)
    expect(kindsOf(member)).toEqual(['lost true', 'assigned'])
    expect(script.requests.slice(3)).toEqual(['join m1', 'sync 2'])
    await member.close({ leave: false })
  })

  test('replaced by a holder of its instance id is finished', async () => {
    const script = new Script()
    const { member, pass } = start(script, { instanceId: 'a' })
    await pass(0)
    taken(member)
    script.heartbeats = [refused('fenced-instance')]
    await pass(10 * HEARTBEAT_MS)
    expect(kindsOf(member)).toEqual(['lost false'])
    expect(script.requests).toEqual(['join ', 'sync 1', 'heartbeat 1'])
    await member.close({ leave: true })
    expect(script.requests).toHaveLength(3)
  })

  test('that missed a generation loses what it held before it gets the next', async () => {
    const script = new Script()
    const { member, pass } = start(script)
    await pass(0)
    taken(member)
    // The group began anew between its join and its sync: somebody may have held its partitions in generation 2.
    script.syncs = [refused('rebalancing')]
    member.rejoin()
    await pass(0)
    const [revoking] = taken(member)
    if (revoking?.kind === 'revoking') revoking.acknowledge()
    await pass(0)
    expect(script.requests.slice(-4)).toEqual(['join m1', 'sync 2', 'join m1', 'sync 3'])
    expect(kindsOf(member)).toEqual(['lost true', 'assigned'])
    await member.close({ leave: false })
  })

  test('is closed while it waits at the barrier, for the leader, or to let go', async () => {
    for (const where of ['joins', 'syncs', 'revoking'] as const) {
      const script = new Script()
      if (where !== 'revoking') script[where] = ['hangs']
      const { member, pass } = start(script)
      await pass(0)
      if (where === 'revoking') {
        member.rejoin()
        await pass(0)
      }
      await member.close({ leave: true })
      expect(kindsOf(member)).toEqual([])
      expect(script.requests.at(-1)).toBe(where === 'joins' ? 'join ' : 'leave m1')
    }
  })

  test('calls its listeners for every event, when it is there to be taken', async () => {
    const script = new Script()
    const { member, pass } = start(script)
    const seen: string[] = []
    member.onEvent(() => seen.push(member.take()?.kind ?? 'nothing'))
    await pass(0)
    script.heartbeats = [refused('unknown-member')]
    await pass(HEARTBEAT_MS)
    expect(seen).toEqual(['assigned', 'lost', 'assigned'])
    await member.close({ leave: false })
  })
})
