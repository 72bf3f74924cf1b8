/** What a commit holds, and what is believed of its end (protocol section 5, steps 2 to 6). */
import type { PlantedBug, Rewrite } from '../planted-bug.ts'

const FILE = 'src/runtime/committer.ts'

/** Everything after the question how an exactly-once commit has ended. */
function ending(replace: string): Rewrite {
  return {
    file: FILE,
    find: `      const result = await writer.commit(commit)
      if (result.outcome === 'committed') return result.appended
      return { kind: 'failed', outcome: result.outcome, cause: result.error }
    }
    return this.#appendThenCommit(writer, commit)`,
    replace: `${replace}
      if (result.outcome === 'committed') return result.appended
      return { kind: 'failed', outcome: result.outcome, cause: result.error }
    }
    return this.#appendThenCommit(writer, commit)`,
  }
}

/** Where the appends of a commit lie, if it was one and the log answers. */
const GUESSED = `await Promise.all(
          commit.appends.map(async (append) => ({
            baseOffset: (await this.#log.endOffset(append, 'read-uncommitted')) - append.count,
            count: append.count,
          })),
        ).catch(() => undefined)`

export const COMMIT_BUGS: readonly PlantedBug[] = [
  {
    name: 'apply-before-commit',
    rule: 'section 5, step 6',
    what: 'the stores have what a commit wrote before the log has said that it is one',
    seed: 1,
    rewrites: [
      {
        file: FILE,
        find: 'const appended = await this.#append(writer, sealed.commit)',
        replace: `for (const { task, sealed: part } of sealed.parts) {
      for (const { storeName, changes } of part.stores) {
        const store = task.stores.get(storeName)
        if (store === undefined || changes.length === 0) continue
        const { position, leaderEpoch } = store
        const nowMs = this.#machine.clock.nowMs()
        try {
          await store.apply(changes, { position, leaderEpoch, nowMs })
        } catch (cause) {
          return { kind: 'failed', outcome: 'apply-failed', cause }
        }
      }
    }
    const appended = await this.#append(writer, sealed.commit)`,
      },
    ],
  },
  {
    name: 'unknown-taken-as-committed',
    rule: 'R5',
    what: 'a commit whose end nobody knows counts as committed',
    seed: 3,
    rewrites: [
      ending(`      const result = await writer.commit(commit)
      if (result.outcome === 'unknown') {
        const appended = ${GUESSED}
        if (appended !== undefined) return appended
      }`),
    ],
  },
  {
    name: 'unknown-retried',
    rule: 'R5',
    what: 'a commit whose end nobody knows is sent again',
    seed: 3,
    rewrites: [
      ending(`      let result = await writer.commit(commit)
      if (result.outcome === 'unknown') result = await writer.commit(commit)`),
    ],
  },
  {
    name: 'unknown-decided-by-offset',
    rule: 'R5, trace T1',
    what: 'a commit whose end nobody knows counts as committed if the committed offsets are those that it had',
    seed: 2818,
    rewrites: [
      ending(`      const result = await writer.commit(commit)
      if (result.outcome === 'unknown' && commit.groupId !== undefined) {
        const committed = await this.#log
          .committedOffsets(commit.groupId, commit.offsets)
          .catch(() => undefined)
        const isThere = commit.offsets.every(
          ({ topic, partition, offset }) =>
            committed?.get(\`\${topic}-\${partition}\`)?.offset === offset,
        )
        const appended = isThere ? ${GUESSED} : undefined
        if (appended !== undefined) return appended
      }`),
    ],
  },
  {
    name: 'offsets-outside-the-transaction',
    rule: 'R1',
    what: 'the offsets follow in a transaction of their own',
    seed: 1,
    rewrites: [
      ending(`      const result = await writer.commit({ ...commit, offsets: [] })
      if (result.outcome === 'committed') {
        const { outcome, error } = {
          error: undefined,
          ...(await writer.commit({ ...commit, appends: [] })),
        }
        if (outcome !== 'committed') return { kind: 'failed', outcome, cause: error }
      }`),
    ],
  },
  {
    name: 'tick-outside-the-commit',
    rule: 'R9, R10',
    what: 'what a task has decided is journaled outside of the commit that it belongs to',
    seed: 1,
    rewrites: [
      ending(`      const isJournal = ({ topic }: Append): boolean => topic.endsWith('-journal')
      const journaled: Appended[] = []
      for (const append of commit.appends.filter(isJournal)) {
        try {
          journaled.push(await writer.append(append))
        } catch (cause) {
          return { kind: 'failed', outcome: 'aborted', cause }
        }
      }
      const others = commit.appends.filter((append) => !isJournal(append))
      const ended = await writer.commit({ ...commit, appends: others })
      const appended = ended.outcome === 'committed' ? [...ended.appended] : []
      const all = commit.appends.map(
        (append) => (isJournal(append) ? journaled.shift() : appended.shift()) as Appended,
      )
      const result = ended.outcome === 'committed' ? { ...ended, appended: all } : ended`),
    ],
  },
  {
    name: 'tick-only-commit-without-offsets',
    rule: 'R1, trace T5',
    what: 'an offset that did not move is not sent, and with it neither stream time nor the generation',
    seed: 8,
    rewrites: [
      {
        file: 'src/runtime/task-seal.ts',
        find: '  readonly #stores: readonly SealingStore[]\n',
        replace:
          '  readonly #stores: readonly SealingStore[]\n  #sealedAt: Record<string, number> = {}\n',
      },
      {
        file: 'src/runtime/task-seal.ts',
        find: '    return { taskId: this.#taskId, appends, offsets, stores, inputPositions }',
        replace: `    const before = this.#sealedAt
    this.#sealedAt = inputPositions
    const moved = offsets.filter((each) => before[partitionKey(each)] !== each.offset)
    return { taskId: this.#taskId, appends, offsets: moved, stores, inputPositions }`,
      },
    ],
  },
  {
    name: 'position-is-the-changelogs-end',
    rule: 'R2, trace T2',
    what: 'after a commit a store is said to be where its changelog ends, whoever wrote that end',
    seed: 51,
    rewrites: [
      {
        file: FILE,
        find: 'position = acknowledged.baseOffset + acknowledged.count',
        replace: `position = await this.#log.endOffset(changelog, 'read-uncommitted')`,
      },
    ],
  },
  {
    name: 'at-least-once-without-gap-check',
    rule: 'R18, trace T11',
    what: 'a store goes on over records that another owner has written in between',
    seed: 54,
    rewrites: [
      {
        file: FILE,
        find: 'this.#refuseGap(part.sealed.taskId, store, position, acknowledged)',
        replace: 'void this.#refuseGap',
      },
    ],
  },
]
