/** What a task is rebuilt from (R3, R5): offsets, their metadata, changelogs up to the right end. */
import type { PlantedBug } from '../planted-bug.ts'

export const RECOVERY_BUGS: readonly PlantedBug[] = [
  {
    name: 'restore-uncommitted-records',
    rule: 'R3',
    what: 'a store is restored from what no commit has made so',
    seed: 1,
    rewrites: [
      {
        file: 'src/runtime/restorer.ts',
        find: `log.reader({ isolation: 'read-committed' })`,
        replace: `log.reader({ isolation: 'read-uncommitted' })`,
      },
    ],
  },
  {
    name: 'target-taken-before-stable-offsets',
    rule: 'R3',
    what: 'the end of the changelog is the one of the last time that this process looked, before others went on',
    seed: 5,
    rewrites: [
      {
        file: 'src/runtime/recovery.ts',
        find: `    const committed = await log.committedOffsets(groupId, this.#inputs)
    const positions = await this.#positions(committed)
    const opened = await openStores(this.#setup, this.identity, committed, this.#mode)
`,
        replace: `    const asked = ENDS.get(log) ?? new Map<string, number>()
    ENDS.set(log, asked)
    const ends = new Map<string, number>()
    for (const spec of this.identity.subTopology.stores.filter(({ logged }) => logged)) {
      const topic = changelogTopicOf(this.identity.topology, spec)
      const { partition } = this.identity
      const end = await log.endOffset({ topic, partition }, 'read-uncommitted')
      const before = asked.get(\`\${topic}-\${partition}\`)
      asked.set(\`\${topic}-\${partition}\`, end)
      ends.set(topic, before ?? end)
    }
    const committed = await log.committedOffsets(groupId, this.#inputs)
    const positions = await this.#positions(committed)
    const early = new (class extends DelegatingLog {
      override endOffset(...asked: Parameters<Log['endOffset']>): Promise<number> {
        const end = ends.get(asked[0].topic)
        return end === undefined ? super.endOffset(...asked) : Promise.resolve(end)
      }
    })(log)
    const opening = { ...this.#setup, log: early }
    const opened = await openStores(opening, this.identity, committed, this.#mode)
`,
      },
      {
        file: 'src/runtime/recovery.ts',
        find: `import { closeStores, openStores, type OpenedTask } from './open-stores.ts'\n`,
        replace: `import { closeStores, openStores, type OpenedTask } from './open-stores.ts'
import { changelogTopicOf } from './internal-names.ts'
import { DelegatingLog } from '#log'

const ENDS = new WeakMap<Log, Map<string, number>>()
`,
      },
    ],
  },
  {
    name: 'restore-target-is-the-last-stable-offset',
    rule: 'R3, trace T3',
    what: 'a store is restored to what is visible at present, with markers still on their way',
    seed: 89,
    rewrites: [
      {
        file: 'src/runtime/open-stores.ts',
        find: `log.endOffset(place, 'read-uncommitted')`,
        replace: `log.endOffset(place, 'read-committed')`,
      },
    ],
  },
  {
    name: 'unstable-offsets',
    rule: 'R3',
    what: 'offsets are read as they are, though a transaction over them has not ended',
    seed: 6,
    rewrites: [
      {
        file: 'src/testing/simulation/broker.ts',
        find: '    while (this.#isPending(groupId, asked)) await this.changed()\n',
        replace: '    void this.#isPending(groupId, asked)\n',
      },
    ],
  },
  {
    name: 'no-saved-stream-time',
    rule: 'R5, R21',
    what: 'committed offsets do not remember the times of the pipeline',
    seed: 5,
    rewrites: [
      {
        file: 'src/runtime/task-times.ts',
        find: '    for (const [name, time] of pipeline.savedTimes()) set(name, time)\n',
        replace: '',
      },
    ],
  },
  {
    name: 'rewind-that-forgets-stream-time',
    rule: 'R5',
    what: 'after a failed commit inputs are read again, and the times stay where they had come to',
    seed: 126,
    rewrites: [
      {
        file: 'src/runtime/task.ts',
        find: '  get isDirty(): boolean {\n',
        replace: `  timesNow(): readonly string[] {
    return this.#times.save()
  }

  get isDirty(): boolean {
`,
      },
      {
        file: 'src/runtime/task-set.ts',
        find: '  readonly #queue: string[] = []\n',
        replace: `  readonly #queue: string[] = []
  #timesKept: ReadonlyMap<string, readonly string[]> = new Map()
`,
      },
      {
        file: 'src/runtime/task-set.ts',
        find: `    if (keep === 'nothing') this.#tasks = NOTHING_ASSIGNED
    const running = [...this.running.values()]
`,
        replace: `    if (keep === 'nothing') this.#tasks = NOTHING_ASSIGNED
    const running = [...this.running.values()]
    type Told = { timesNow(): readonly string[] }
    this.#timesKept = new Map(
      (keep === 'nothing' ? [] : running).map(({ taskId, task }) => [
        taskId,
        (task as unknown as Told).timesNow(),
      ]),
    )
`,
      },
      {
        file: 'src/runtime/task-set.ts',
        find: '      this.running.set(taskId, new RunningTask(recovered))\n',
        replace: `      const kept = this.#timesKept.get(taskId)
      const positions = new Map(
        [...recovered.positions].map(([key, { offset, metadata }], n) => [
          key,
          { offset, metadata: kept?.[n] ?? metadata },
        ]),
      )
      this.running.set(taskId, new RunningTask({ ...recovered, positions }))
`,
      },
    ],
  },
]
