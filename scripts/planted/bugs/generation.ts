/** Under which generation a commit is sent, and whether anybody looks at it (R1). */
import type { PlantedBug } from '../planted-bug.ts'

export const GENERATION_BUGS: readonly PlantedBug[] = [
  {
    name: 'no-generation',
    rule: 'R1',
    what: 'offsets are committed by whoever comes, member of the group or not',
    seed: 21,
    rewrites: [
      {
        file: 'src/log/membership.ts',
        find: `  const found = findInGeneration(group, member)
  if ('refused' in found) return { group, answer: found }
  return { group: hear(group, found.memberId, nowMs), answer: 'ok' }
}

/** What time alone does`,
        replace: `  return { group, answer: 'ok' }
}

/** What time alone does`,
      },
    ],
  },
  {
    name: 'generation-stamped-at-send',
    rule: 'R1, trace T4',
    what: 'a commit names the generation that its member is in when it is sent, not the one that its layers are of',
    seed: 29,
    rewrites: [
      {
        file: 'src/log/group-member.ts',
        find: `      ...this.#ref(),
      partitions: synced.partitions,
`,
        replace: `      ...this.#ref(),
      ...{ refNow: () => this.#ref() },
      partitions: synced.partitions,
`,
      },
      {
        file: 'src/runtime/committer.ts',
        find: '      member: { groupId, memberId, instanceId, generation },\n',
        replace: `      member: {
        groupId,
        instanceId,
        get memberId() {
          return refNow?.().memberId ?? memberId
        },
        get generation() {
          return refNow?.().generation ?? generation
        },
      },
`,
      },
      {
        file: 'src/runtime/committer.ts',
        find: '  const { groupId, memberId, instanceId, generation } = member\n',
        replace: `  const { groupId, memberId, instanceId, generation } = member
  const { refNow } = member as { readonly refNow?: () => { memberId: string; generation: number } }
`,
      },
    ],
  },
]
