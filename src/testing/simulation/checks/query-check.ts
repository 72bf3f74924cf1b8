/**
 * Questions to stores, at any time: an answer is what the store was at the committed positions that it names, or later, and never
 * what no commit has made so (R16, I14).
 *
 * Invariant: what an answer is held against comes from the tasks that are run again, not from those that answer.
 */
import { partitionKey, type OffsetCommit } from '#log'
import { TaskError, type Task } from '#runtime'
import { answerQuestion, type StoreQuestion, type StoreReply } from '#runtime/parts'
import { StateError } from '#state'
import { asBuffer } from '#system'
import type { Topology } from '#topology'
import type { SeededRandom } from '../seeded-random.ts'
import type { SimulatedMember } from '../simulated-member.ts'
import type { FaultPlan } from '../fault-plan.ts'
import type { Violations } from '../violations.ts'
import { bytesOf, shown } from './records.ts'

const WAIT_MS = 300
/** What is shorter in a window store is a note of its own. */
const WINDOW_SUFFIX_BYTES = 12

type Sealed = NonNullable<ReturnType<Task['seal']>>

/** A value, and the commit that made it so. */
interface Version {
  readonly commit: number
  readonly value: string | null
}

class TaskHistory {
  /** Next input offsets, commit by commit. */
  readonly commits: ReadonlyMap<string, number>[] = []
  readonly stores: Map<string, Map<string, Version[]>> = new Map()
}

export class QueryCheck {
  readonly #violations: Violations
  readonly #faults: FaultPlan
  readonly #random: SeededRandom
  readonly #tasks = new Map<string, TaskHistory>()

  /** Stores whose rows are keys and values, whenever they were committed, and how long a key is at least. */
  readonly #asked: ReadonlyMap<string, number>

  constructor(topology: Topology, violations: Violations, faults: FaultPlan, random: SeededRandom) {
    const stores = topology.subTopologies.flatMap((sub) => sub.stores)
    const asked = stores.filter(({ kind }) => kind === 'key-value' || kind === 'window')
    this.#asked = new Map(
      asked.map(({ name, kind }) => [name, kind === 'window' ? WINDOW_SUFFIX_BYTES : 0]),
    )
    this.#violations = violations
    this.#faults = faults
    this.#random = random
  }

  /** A commit of a task counts. */
  committed(taskId: string, offsets: readonly OffsetCommit[], stores: Sealed['stores']): void {
    const history = this.#tasks.get(taskId) ?? new TaskHistory()
    this.#tasks.set(taskId, history)
    const commit = history.commits.length
    history.commits.push(new Map(offsets.map((one) => [partitionKey(one), one.offset])))
    for (const { storeName, changes } of stores) {
      const keyBytesMin = this.#asked.get(storeName)
      if (keyBytesMin === undefined) continue
      const rows = history.stores.get(storeName) ?? new Map<string, Version[]>()
      history.stores.set(storeName, rows)
      for (const { key, value } of changes) {
        if (key.length < keyBytesMin) continue
        const text = asBuffer(key).latin1Slice()
        const versions = rows.get(text) ?? []
        rows.set(text, versions)
        versions.push({ commit, value: value === null ? null : asBuffer(value).latin1Slice() })
      }
    }
  }

  /** It is not known any more what is right. */
  forget(taskId: string): void {
    this.#tasks.delete(taskId)
  }

  /** Asks a member something that it may or may not be able to answer. */
  ask(member: SimulatedMember): void {
    const taskId = this.#random.pick([...this.#tasks.keys()])
    const history = taskId === undefined ? undefined : this.#tasks.get(taskId)
    if (taskId === undefined || history === undefined) return
    const store = this.#random.pick([...history.stores.keys()])
    const key = this.#random.pick([...(history.stores.get(store ?? '')?.keys() ?? [])])
    const isBound = this.#random.chance(0.5)
    const least = isBound ? this.#random.pick(history.commits) : undefined
    if (store === undefined || key === undefined) return
    const question: StoreQuestion = {
      taskIds: [taskId],
      store,
      subject: { kind: 'get', key: bytesOf(key) },
      minPositions: Object.fromEntries(least ?? []),
      waitMs: WAIT_MS,
      allowStale: !isBound,
    }
    void this.#hear(member, question, key, history)
  }

  async #hear(
    { worker }: SimulatedMember,
    question: StoreQuestion,
    key: string,
    history: TaskHistory,
  ): Promise<void> {
    const { tasks, setup } = worker
    const answering = {
      tasks,
      machine: setup.machine,
      progressOf: worker.progress.bind(worker),
    }
    try {
      for (const reply of await answerQuestion(answering, question)) {
        this.#faults.count(reply.stale ? 'answered stale' : 'answered')
        this.#check(reply, question, key, history)
      }
    } catch (error) {
      if (error instanceof StateError) return
      if (error instanceof TaskError && error.code === 'QUERY_STALE') return
      this.#violations.add('queries', `a question failed: ${String(error)}`)
    }
  }

  #check(reply: StoreReply, question: StoreQuestion, key: string, history: TaskHistory): void {
    const { positions, rows } = reply
    for (const [place, least] of Object.entries(question.minPositions)) {
      if ((positions[place] ?? 0) >= least) continue
      this.#violations.add(
        'queries',
        `asked for ${place} at ${least}, answered at ${positions[place]}`,
      )
    }
    const found = rows[0]?.value
    const value = found === undefined ? null : asBuffer(found).latin1Slice()
    // The last commit that lies below what the answer names: what it or any later one has made is right.
    const since = history.commits.findLastIndex((commit) =>
      [...commit].every(([place, offset]) => offset <= (positions[place] ?? 0)),
    )
    const versions = history.stores.get(question.store)?.get(key) ?? []
    const before = versions.findLast(({ commit }) => commit <= since)?.value ?? null
    const isRight =
      value === before ||
      versions.some((version) => version.commit > since && version.value === value)
    if (isRight) return
    this.#violations.add(
      'queries',
      `task ${reply.taskId} says ${shown(key)} in ${question.store} is ${shown(value)} at ${JSON.stringify(positions)}; ` +
        `committed is ${shown(before)}`,
    )
  }
}
