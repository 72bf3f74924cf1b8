/**
 * The first phase of a run: inputs come, and every few steps something goes wrong.
 *
 * Invariant: what goes wrong is drawn from the plan, counted, and leaves a trace.
 */
import type { FaultName } from './fault-plan.ts'
import type { SimulatedMember } from './simulated-member.ts'
import type { SimulatedProcess } from './simulated-process.ts'
import type { InputDraw, SimulatedInput } from './simulated-input.ts'
import type { SeededRandom } from './seeded-random.ts'
import type { World } from './world.ts'

/** What is done to a run at a step, rather than where it is met. */
const AT_STEPS: readonly FaultName[] = [
  'crash',
  'power-loss',
  'pause',
  'join',
  'leave',
  'stop',
  'clock-skew',
  'clock-jump',
]
const TO_FOLDERS: readonly FaultName[] = [
  'folder-lost',
  'folder-stale',
  'stores-swapped',
  'store-damaged',
]
/** Steps of a commit, by how often a process stands still there: between seal and end it does most harm. */
const COMMIT_STEPS: Readonly<Record<string, number>> = {
  'runtime:after-seal': 0.2,
  append: 0.4,
  sealed: 0.3,
  appended: 0.3,
  offsets: 0.3,
  ended: 0.4,
  'runtime:between-applies': 0.1,
  'runtime:after-apply': 0.1,
}
/** Steps that few runs come to, by how much more often a process ends there. */
const RARE_STEPS: Readonly<Record<string, number>> = {
  'runtime:window-close': 8,
  'runtime:shutdown': 4,
  'runtime:between-applies': 4,
  'runtime:after-apply': 2,
}
const PAUSE_CHANCE = 0.03
const STUTTER_MS_MAX = 4
const BUSY_MS_MAX = 40
const CRASH_CHANCE = 0.004
const QUESTION_CHANCE = 0.03
const DISORDER_MS_MAX = 2_000
const IDLE_MS_MAX = 3_000

export class Chaos {
  readonly #world: World
  readonly #random: SeededRandom
  readonly #input: (draw: InputDraw) => SimulatedInput | readonly SimulatedInput[]
  readonly #instances: readonly string[]
  #nextFaultAt: number = 0
  #inputsGiven: number = 0
  #idlePartition: number = -1
  #idleUntilMs: number = 0

  constructor(
    world: World,
    input: (draw: InputDraw) => SimulatedInput | readonly SimulatedInput[],
  ) {
    this.#world = world
    this.#random = world.random.fork('chaos')
    this.#input = input
    this.#instances = Array.from({ length: world.options.members }, (_, n) => `i${n}`)
  }

  async run(): Promise<void> {
    const { scheduler, options } = this.#world
    this.#start(this.#instances[0] ?? 'i0')
    for (const instanceId of this.#instances.slice(1)) {
      if (this.#random.chance(0.75)) this.#start(instanceId)
    }
    this.#giveInput()
    const endAt = scheduler.steps + options.steps
    this.#nextFaultAt = scheduler.steps + this.#gap()
    while (scheduler.steps < endAt) {
      if (!scheduler.step()) break
      this.#lookAtFailures()
      if (this.#random.chance(QUESTION_CHANCE)) this.#ask()
      if (scheduler.steps < this.#nextFaultAt) continue
      this.#nextFaultAt = scheduler.steps + this.#gap()
      await this.#fault()
    }
    while (this.#inputsGiven < options.inputs) this.#append()
  }

  /** A member that ended by itself is a finding. */
  #lookAtFailures(): void {
    for (const { failure, process } of this.#world.members) {
      if (failure === undefined || process.isGone) continue
      process.crash()
      this.#world.violations.add('worker', `${process.name} has ended: ${String(failure.error)}`)
    }
  }

  #ask(): void {
    const member = this.#random.pick(this.#world.living)
    if (member !== undefined && !member.process.isPaused) this.#world.queries.ask(member)
  }

  #gap(): number {
    return 1 + this.#random.below(this.#world.options.faultEverySteps * 2)
  }

  /** Inputs come at their own pace, in bursts. */
  #giveInput(): void {
    const { scheduler, options, faults } = this.#world
    if (faults.isHealed || this.#inputsGiven >= options.inputs) return
    this.#burst(this.#random.chance(0.3) ? this.#random.between(1, 6) : 1)
    const waitMs = this.#random.chance(0.1)
      ? this.#random.below(2_000)
      : this.#random.below(options.inputGapMs)
    scheduler.after(waitMs, undefined, 'input', () => this.#giveInput())
  }

  #burst(records: number): void {
    const { options, faults } = this.#world
    if (faults.isHealed) return
    const left = Math.min(records, options.inputs - this.#inputsGiven)
    for (let count = 0; count < left; count += 1) this.#append()
  }

  #append(): void {
    const world = this.#world
    const index = this.#inputsGiven
    this.#inputsGiven += 1
    const given = this.#input({ random: this.#random, index, nowMs: world.nowMs })
    const records = Array.isArray(given) ? (given as readonly SimulatedInput[]) : [given]
    for (const record of records as readonly SimulatedInput[]) this.#appendOne(record)
  }

  #appendOne(record: SimulatedInput): void {
    const { faults, nowMs } = this.#world
    let { timestampMs = nowMs } = record
    if (faults.happens('disorder')) timestampMs -= this.#random.below(DISORDER_MS_MAX)
    const partition = this.#world.partitionOf(record)
    if (this.#isIdle(partition)) return
    this.#world.append({ ...record, timestampMs }, partition)
    if (!faults.happens('duplicate-input')) return
    this.#world.append({ ...record, timestampMs }, partition)
  }

  /** Nothing comes to one partition for a while. */
  #isIdle(partition: number): boolean {
    const { faults, nowMs } = this.#world
    if (nowMs < this.#idleUntilMs) return partition === this.#idlePartition
    if (!faults.happens('idle-partition')) return false
    this.#idlePartition = partition
    this.#idleUntilMs = nowMs + this.#random.below(IDLE_MS_MAX)
    return true
  }

  async #fault(): Promise<void> {
    const { faults } = this.#world
    const name = faults.choose(AT_STEPS)
    if (name === undefined) {
      this.#restartOne()
      return
    }
    const member = this.#random.pick(this.#world.living)
    if (name === 'join' || member === undefined) {
      if (this.#restartOne() && name === 'join') faults.count(name)
      return
    }
    faults.count(name)
    this.#world.scheduler.note(name, member.process)
    if (name === 'crash') await this.#crash(member, false)
    else if (name === 'power-loss') await this.#crash(member, true)
    else if (name === 'pause') this.#pause(member.process)
    else if (name === 'leave') member.worker.stop(true)
    else if (name === 'stop') member.worker.stop(false)
    else if (name === 'clock-skew') member.process.skewMs += this.#random.between(-2_000, 2_000)
    else if (name === 'clock-jump') member.process.skewMs += this.#random.between(-1, 1) * 3_600_000
  }

  async #crash(member: SimulatedMember, isPowerLoss: boolean): Promise<void> {
    const { faults } = this.#world
    const { disk } = member
    await member.crash()
    if (isPowerLoss) disk.goBack(4)
    const name = faults.choose(TO_FOLDERS)
    if (name === undefined || !this.#random.chance(0.5)) return
    if (name === 'folder-lost') disk.lose()
    else if (name === 'folder-stale') disk.goBack(1_000)
    else if (name === 'store-damaged') disk.damage()
    else if (!disk.swap()) return
    faults.count(name)
  }

  /** Who is not there comes (back). */
  #restartOne(): boolean {
    const { living } = this.#world
    const here = new Set(living.map(({ disk }) => disk.instanceId))
    const away = this.#instances.filter((instanceId) => !here.has(instanceId))
    const instanceId = this.#random.pick(away)
    if (instanceId === undefined) return false
    this.#start(instanceId)
    return true
  }

  #start(instanceId: string): void {
    const member = this.#world.start(instanceId)
    member.process.onStep = (step) => this.#atStep(member, step)
  }

  /** A process has come to a step of its own: it may stand still there, or end. */
  #atStep(member: SimulatedMember, step: string): void {
    const { faults, scheduler, options } = this.#world
    const { process } = member
    if (faults.isHealed || process.isPaused || process.isGone) return
    if (options.isDuel && this.#world.living.some((other) => other.process.isPaused)) return
    const { crash = 0, 'pause-in-commit': pause = 0 } = faults.rates
    if (this.#random.chance(crash * CRASH_CHANCE * (RARE_STEPS[step] ?? 1))) {
      faults.count(`crash at ${step}`)
      scheduler.note(`crash at ${step}`, process)
      void member.crash()
    } else if (this.#random.chance((COMMIT_STEPS[step] ?? 0) * pause * PAUSE_CHANCE)) {
      faults.count('pause-in-commit')
      faults.count(`pause at ${step}`)
      scheduler.note(`pause at ${step}`, process)
      this.#pause(process)
    }
  }

  /** Some wake up for just long enough to send what they were about to. */
  #pause(process: SimulatedProcess): void {
    const { scheduler } = this.#world
    const forMs = this.#pauseMs()
    process.pause(forMs)
    // And whoever has its tasks by then has something to do meanwhile.
    const soonMs = this.#random.next() * BUSY_MS_MAX
    scheduler.after(forMs + soonMs, undefined, 'input', () => this.#burst(this.#random.below(4)))
    if (!this.#random.chance(0.6)) return
    scheduler.after(forMs + this.#random.next() * STUTTER_MS_MAX, undefined, 'pause again', () => {
      if (!this.#world.faults.isHealed) process.pause(this.#pauseMs())
    })
  }

  /** Short, or longer than its session. */
  #pauseMs(): number {
    const { sessionTimeoutMs = 1_000 } = this.#world.options.limits
    return (
      sessionTimeoutMs *
      (this.#random.chance(0.6) ? 1 + this.#random.next() * 3 : this.#random.next())
    )
  }
}
