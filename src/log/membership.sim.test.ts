/** Members, slow, killed and frozen at random, on the groups of a memory log: seeds, each a different run. */
import type { Clock } from '#system'
import { VirtualClock } from '#testing'
import { expect, test } from 'bun:test'

import { dealOut } from './log.contract/members.ts'
import { startGroupMember } from './group-member.ts'
import { hostedTransport } from './group-transport.ts'
import { type Assignment, type GroupMember, LogError, partitionKey } from './log.ts'
import { MemoryGroups } from './memory/memory-groups.ts'

const SESSION_MS = 1_000
const PARTITIONS = 5
const SEEDS = 150

function randomFrom(seed: number): () => number {
  let state = seed * 2_654_435_761
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** A clock of one member: while it is frozen its timers wait, as a stopped process's do. */
class FreezableClock implements Clock {
  readonly #clock: VirtualClock
  frozenUntilMs: number = 0
  constructor(clock: VirtualClock) {
    this.#clock = clock
  }
  nowMs(): number {
    return this.#clock.nowMs()
  }
  elapsedMs(): number {
    return this.#clock.elapsedMs()
  }
  after(delayMs: number, fire: () => void): () => void {
    let cancel = this.#clock.after(delayMs, () => {
      const waitMs = this.frozenUntilMs - this.elapsedMs()
      if (waitMs > 0) cancel = this.#clock.after(waitMs, fire)
      else fire()
    })
    return () => cancel()
  }
  turn(): Promise<void> {
    return this.#clock.turn()
  }
}

/** A worker, reduced to what matters here: it holds partitions, and commits for them when it can. */
class Holder {
  readonly member: GroupMember
  readonly clock: FreezableClock
  held: Assignment | undefined
  acknowledgeAtMs: number = Number.POSITIVE_INFINITY
  #acknowledge: (() => void) | undefined
  closed: boolean = false

  constructor(member: GroupMember, clock: FreezableClock) {
    this.member = member
    this.clock = clock
  }

  get isFrozen(): boolean {
    return this.clock.elapsedMs() < this.clock.frozenUntilMs
  }

  step(nowMs: number, finishMs: () => number): void {
    if (this.isFrozen || this.closed) return
    for (let event = this.member.take(); event; event = this.member.take()) {
      if (event.kind === 'assigned') this.held = event.assignment
      else if (event.kind === 'lost') {
        this.held = undefined
        this.acknowledgeAtMs = Number.POSITIVE_INFINITY
        if (!event.rejoining) this.closed = true
      } else {
        this.#acknowledge = () => event.acknowledge()
        this.acknowledgeAtMs = nowMs + finishMs()
      }
    }
    if (nowMs < this.acknowledgeAtMs) return
    this.acknowledgeAtMs = Number.POSITIVE_INFINITY
    this.#acknowledge?.()
  }
}

/** The group and the members of one seed. */
class World {
  readonly clock: VirtualClock = new VirtualClock()
  readonly groups: MemoryGroups
  readonly random: () => number
  readonly holders: Holder[] = []
  readonly seen: Record<string, number> = { commits: 0, fenced: 0, lost: 0, kills: 0, freezes: 0 }
  readonly #random: { readonly next: () => number; readonly uuid: () => string }

  constructor(seed: number) {
    this.random = randomFrom(seed)
    let ids = 0
    const uuid = (): string => `id-${String((ids += 1)).padStart(6, '0')}`
    this.#random = { next: this.random, uuid }
    const partitionCount = (): number => PARTITIONS
    this.groups = new MemoryGroups({ clock: this.clock, random: this.#random, partitionCount })
  }

  saw(what: string): void {
    this.seen[what] = (this.seen[what] ?? 0) + 1
  }

  join(instanceId: string | undefined): void {
    const clock = new FreezableClock(this.clock)
    const options = {
      groupId: 'g',
      ...(instanceId === undefined ? {} : { instanceId }),
      topics: ['t'],
      userData: () => new Uint8Array(),
      assignor: dealOut,
      sessionTimeoutMs: SESSION_MS,
      rebalanceTimeoutMs: 1_500,
    }
    const transport = hostedTransport(this.groups, 'g')
    const member = startGroupMember(options, { transport, clock, random: this.#random })
    this.holders.push(new Holder(member, clock))
  }

  /** Whoever believes to hold partitions commits for them; true if it counts. */
  commit({ held, isFrozen }: Holder): boolean {
    if (!held || isFrozen) return false
    try {
      this.groups.assertMayCommit({ appends: [], groupId: 'g', member: held, offsets: [] })
      this.saw('commits')
      return true
    } catch (error) {
      if (!(error instanceof LogError && error.code === 'LOG_FENCED')) throw error
      this.saw('fenced')
      return false
    }
  }

  /** Partitions of everybody whose commits count. */
  owned(): readonly string[] {
    return this.holders.flatMap((holder) =>
      this.commit(holder) ? (holder.held?.partitions ?? []).map(partitionKey) : [],
    )
  }

  async pass(ms: number): Promise<void> {
    this.clock.advance(ms)
    await this.clock.turn()
  }
}

async function run(seed: number): Promise<World> {
  const world = new World(seed)
  const { random } = world
  for (let step = 0; step < 120; step += 1) {
    const chance = random()
    const alive = world.holders.filter(({ closed }) => !closed)
    const some = alive[Math.floor(random() * alive.length)]
    if (chance < 0.08 && alive.length < 4) {
      const names = ['a', 'b', undefined, undefined]
      world.join(names[Math.floor(random() * names.length)])
    } else if (chance < 0.11 && some) {
      // As `kill -9`: nothing is said, and what it believed to hold is forgotten with it.
      some.closed = true
      some.held = undefined
      world.saw('kills')
      await some.member.close({ leave: random() < 0.3 })
    } else if (chance < 0.15 && some) {
      some.clock.frozenUntilMs = world.clock.elapsedMs() + random() * 3 * SESSION_MS
      world.saw('freezes')
    } else if (chance < 0.2 && some) some.member.rejoin()
    await world.pass(random() * 200)
    for (const holder of world.holders) {
      const before = holder.held
      holder.step(world.clock.elapsedMs(), () => random() * (random() < 0.1 ? 3_000 : 300))
      if (before && !holder.held) world.saw('lost')
    }

    // Of all who believe to hold something, those whose commits the log takes hold disjoint partitions.
    const held = world.owned()
    if (new Set(held).size !== held.length) throw new Error(`seed ${seed}: held twice: ${held}`)
  }

  // Faults stop: soon everything is held by those who are left.
  if (world.holders.every(({ closed }) => closed)) world.join(undefined)
  for (let step = 0; step < 100; step += 1) {
    await world.pass(200)
    for (const holder of world.holders) holder.step(world.clock.elapsedMs(), () => 0)
  }
  const held = world.owned()
  if (held.length !== PARTITIONS || new Set(held).size !== PARTITIONS) {
    throw new Error(`seed ${seed}: in the end ${held.length} of ${PARTITIONS} are held: ${held}`)
  }
  for (const { member } of world.holders) await member.close({ leave: false })
  world.groups.close()
  return world
}

test(`${SEEDS} seeds: nobody’s partition counts for two, and all are held in the end`, async () => {
  const total: Record<string, number> = {}
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const { seen } = await run(seed)
    for (const [name, count] of Object.entries(seen)) total[name] = (total[name] ?? 0) + count
  }
  // The faults were there, and were met.
  for (const name of ['commits', 'fenced', 'lost', 'kills', 'freezes']) {
    expect([name, total[name]]).toEqual([name, expect.any(Number)])
    expect(total[name]).toBeGreaterThan(50)
  }
}, 180_000)

test('a seed gives the same run twice', async () => {
  const [a, b] = [await run(7), await run(7)]
  expect(a.seen).toEqual(b.seen)
  expect(a.clock.elapsedMs()).toBe(b.clock.elapsedMs())
})
