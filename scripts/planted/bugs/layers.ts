/** What is in the layers of a task, and who may see it before it is committed (R4, R15, R16). */
import type { PlantedBug } from '../planted-bug.ts'

const KEPT_FIELD = {
  file: 'src/runtime/task-set.ts',
  find: '  readonly #queue: string[] = []\n',
}

export const LAYER_BUGS: readonly PlantedBug[] = [
  {
    name: 'query-through-the-open-layer',
    rule: 'R16',
    what: 'a question for one key is answered from what the task has written and not committed',
    seed: 1,
    rewrites: [
      {
        file: 'src/runtime/store-question.ts',
        find: '  return { taskId: running.taskId, rows, positions, lagRecords, stale: false }',
        replace: `  const { subject } = question
  const spec = running.stores.get(question.store)?.spec
  const layers = running.task.stores.get(question.store) as
    | { getTimed(key: unknown): { readonly value: unknown; readonly timestampMs: number } | undefined }
    | undefined
  if (subject.kind === 'get' && spec?.kind === 'key-value' && layers !== undefined) {
    const timed = layers.getTimed(spec.key.decode(subject.key))
    const bytes = timed === undefined ? undefined : spec.value.encode(timed.value)
    const head = Buffer.alloc(spec.timestamped ? 8 : 0)
    if (spec.timestamped) head.writeBigInt64BE(BigInt(timed?.timestampMs ?? 0))
    const open = bytes === undefined ? [] : [{ key: subject.key, value: Buffer.concat([head, bytes]) }]
    return { taskId: running.taskId, rows: open, positions, lagRecords, stale: false }
  }
  return { taskId: running.taskId, rows, positions, lagRecords, stale: false }`,
      },
    ],
  },
  {
    name: 'open-layer-sent-before-the-first-commit-is-known',
    rule: 'R5',
    what: 'the next commit is sealed while one is in flight, and follows it however that ends',
    seed: 1,
    rewrites: [
      {
        file: 'src/runtime/commit-cycle.ts',
        find: '    if (this.#inFlight !== undefined || this.#failure !== undefined) return false\n',
        replace: '    if (this.#failure !== undefined) return false\n',
      },
      {
        file: 'src/runtime/commit-cycle.ts',
        find: `    assert(this.#inFlight === undefined, 'one commit at a time')\n`,
        replace: '',
      },
      {
        file: 'src/runtime/commit-cycle.ts',
        find: `    this.#inFlight = committer.run(writer, sealed).then((end) => {
      this.#inFlight = undefined
`,
        replace: `    const first = this.#inFlight ?? Promise.resolve()
    const both: Promise<void> = first.then(async () => {
      const end = await committer.run(writer, sealed)
      if (this.#inFlight === both) this.#inFlight = undefined
`,
      },
      {
        file: 'src/runtime/commit-cycle.ts',
        find: `      this.#setup.wake()
    })
`,
        replace: `      this.#setup.wake()
    })
    this.#inFlight = both
`,
      },
      {
        file: 'src/runtime/task.ts',
        find: '    assert(!this.#isSealed, `task ${this.taskId} has one sealed layer at a time`)\n',
        replace: '    if (this.#isSealed) this.release()\n',
      },
      {
        file: 'src/runtime/task.ts',
        find: '    assert(this.#isSealed, `task ${this.taskId} has sealed what it releases`)\n',
        replace: '    if (!this.#isSealed) return\n',
      },
    ],
  },
  {
    name: 'open-layer-kept-on-abort',
    rule: 'R5',
    what: 'what was written on top of a commit that failed is still there when its inputs are read again',
    seed: 126,
    rewrites: [
      {
        ...KEPT_FIELD,
        replace: `${KEPT_FIELD.find}  #kept: ReadonlyMap<string, RunningTask> = new Map()\n`,
      },
      {
        file: 'src/runtime/task-set.ts',
        find: `    if (keep === 'nothing') this.#tasks = NOTHING_ASSIGNED
    const running = [...this.running.values()]
`,
        replace: `    if (keep === 'nothing') this.#tasks = NOTHING_ASSIGNED
    const running = [...this.running.values()]
    this.#kept = new Map(keep === 'nothing' ? [] : this.running)
`,
      },
      {
        file: 'src/runtime/task-set.ts',
        find: '      this.running.set(taskId, new RunningTask(recovered))\n',
        replace: `      const started = new RunningTask(recovered)
      this.running.set(taskId, started)
      for (const [name, store] of this.#kept.get(taskId)?.task.stores ?? []) {
        const fresh = started.task.stores.get(name)
        if ('takeOpenOf' in store) (fresh as typeof store & TakesOpen).takeOpenOf(store)
      }
`,
      },
      {
        file: 'src/runtime/task-set.ts',
        find: 'export interface TaskSetSetup ',
        replace: `interface TakesOpen {
  takeOpenOf(other: object): void
}

export interface TaskSetSetup `,
      },
      {
        file: 'state/key-value-store.ts',
        find: '  range(range: KeyRange<K>)',
        replace: `  takeOpenOf(other: KeyValueWriteBuffer<K, V>): void {
    for (const { key, written } of other.#buffer.dirty) {
      this.put(key, written.value, written.timestampMs)
    }
  }

  range(range: KeyRange<K>)`,
      },
    ],
  },
  {
    name: 'cache-filled-before-commit',
    rule: 'R4',
    what: 'the decoded cache holds what a record has put, whether or not it stays',
    seed: 1,
    rewrites: [
      {
        file: 'state/key-value-store.ts',
        find: '    this.#buffer.put(this.#layers, mapKey, key, { value, timestampMs })\n',
        replace: `    this.#buffer.put(this.#layers, mapKey, key, { value, timestampMs })
    this.#cache.set(mapKey, { value, timestampMs })
`,
      },
    ],
  },
  {
    name: 'poison-keeps-partial-effects',
    rule: 'R15',
    what: 'what a record has put into stores before it threw stays there',
    seed: 1,
    rewrites: [
      {
        file: 'src/runtime/open-layer.ts',
        find: '    for (const store of this.#stores) store.rollback()\n',
        replace: '',
      },
    ],
  },
]
