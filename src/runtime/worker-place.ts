/**
 * A worker's place in its group: what it tells the leader about itself, and when it must tell it anew.
 *
 * A static member that comes back within its session is given what it had, and the leader never hears what has changed since.
 * So it joins a second time: at once if its state is gone while others have copies; if it answers elsewhere than before, once
 * its tasks run, because nothing of theirs has to wait for that. A sticky assignor gives the same again. Whoever builds up the
 * state of tasks that are to move to it joins again when it has them.
 *
 * Invariant: what is told of a task that was given and is still being recovered is that it runs here: it is not given away.
 */
import type { Assignment, GroupMember, MembershipEvent } from '#log'
import { encodeMemberData } from './assignment-data.ts'
import { createAssignor } from './assignment.ts'
import { inputTopicsOf } from './internal-names.ts'
import type { TaskSet } from './task-set.ts'
import type { WorkerRetries } from './worker-retries.ts'
import type { WorkerSetup } from './worker-setup.ts'

/** A leader that does not find a copy fresh enough is not asked again at once. */
const WARM_UP_ASK_MS = 2_000

export class WorkerPlace {
  readonly #setup: WorkerSetup
  readonly #tasks: TaskSet
  readonly #wake: () => void
  #member: GroupMember | undefined
  #rejoins = 0
  /** Given by a place that was kept, with nothing of their state here. */
  #withoutState: ReadonlySet<string> = new Set()
  /** The first assignment may be of another life, which is settled before anything is said about it. */
  #isChecked = false
  #mayAskAtMs = 0

  constructor(setup: WorkerSetup, tasks: TaskSet, wake: () => void) {
    this.#setup = setup
    this.#tasks = tasks
    this.#wake = wake
  }

  async join(retries: WorkerRetries): Promise<void> {
    const { log, topology, limits, standbys, memberInstanceId } = this.#setup
    const topics = topology.subTopologies.flatMap((sub) => inputTopicsOf(topology, sub))
    this.#member = await retries.forLog(() =>
      log.join({
        groupId: topology.applicationId,
        ...(memberInstanceId !== undefined && { instanceId: memberInstanceId }),
        topics: [...new Set(topics)],
        userData: () => this.#userData(),
        assignor: createAssignor(topology, {
          standbys,
          lagRecordsMax: limits.acceptableLagRecords,
        }),
        sessionTimeoutMs: limits.sessionTimeoutMs,
        rebalanceTimeoutMs: limits.rebalanceTimeoutMs,
      }),
    )
    this.#member?.onEvent(this.#wake)
  }

  take(): MembershipEvent | undefined {
    return this.#member?.take()
  }

  /** R3 (e): the member holds what was taken from it, in the same generation; else an event is on its way. */
  holds(assignment: Assignment | undefined): boolean {
    const held = this.#member?.assignment
    return held !== undefined && held.generation === assignment?.generation
  }

  rejoin(): void {
    this.#rejoins += 1
    this.#member?.rejoin()
  }

  /** After an assignment was adopted. */
  onAssigned(): void {
    this.#withoutState = new Set()
    const { memberInstanceId, standbys } = this.#setup
    if (this.#rejoins > 0 || memberInstanceId === undefined || standbys === 0) return
    const held = this.#setup.heldBefore()
    const lost = this.#tasks.assigned.active.filter((taskId) => held[taskId] === undefined)
    if (lost.length === 0) return
    this.#withoutState = new Set(lost)
    this.rejoin()
  }

  /** Whether there is something to be told that the leader has not heard. */
  look(): void {
    if (!this.#tasks.isSettled) return
    if (!this.#isChecked) {
      this.#isChecked = true
      if (this.#rejoins === 0 && this.#answersElsewhere()) this.rejoin()
    }
    if (this.#hasWarmedUp()) this.rejoin()
  }

  async close(leave: boolean): Promise<void> {
    // A dynamic member has no place that could be kept for it.
    const isDynamic = this.#setup.memberInstanceId === undefined
    await this.#member?.close({ leave: leave || isDynamic }).catch(() => {})
  }

  #answersElsewhere(): boolean {
    const { endpoint, memberInstanceId } = this.#setup
    const { active, owners } = this.#tasks.assigned
    return memberInstanceId !== undefined && active.some((taskId) => owners[taskId] !== endpoint)
  }

  #hasWarmedUp(): boolean {
    const { warmUp } = this.#tasks.assigned
    const { limits, machine } = this.#setup
    const nowMs = machine.clock.elapsedMs()
    if (warmUp.length === 0 || nowMs < this.#mayAskAtMs) return false
    const isReady = warmUp.every((taskId) => {
      const recovery = this.#tasks.standbys.get(taskId)?.recovery
      return recovery !== undefined && recovery.lagRecords <= limits.acceptableLagRecords / 2
    })
    if (isReady) this.#mayAskAtMs = nowMs + WARM_UP_ASK_MS
    return isReady
  }

  #userData(): Uint8Array {
    const { instanceId, endpoint, heldBefore } = this.#setup
    const given = this.#tasks.assigned.active.filter((taskId) => !this.#withoutState.has(taskId))
    return encodeMemberData({
      instance: instanceId,
      active: [...new Set([...given, ...this.#tasks.running.keys()])],
      positions: { ...heldBefore(), ...this.#tasks.positions() },
      endpoint,
      rejoins: this.#rejoins,
    })
  }
}
