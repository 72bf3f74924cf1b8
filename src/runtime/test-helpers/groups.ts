/**
 * Groups as an assignor sees them: task shapes, members and what they say of themselves after an assignment.
 *
 * Invariant: tasks of sub-topology 1 are stateless; all others are stateful and can be followed.
 */
import type { AssignedTasks } from '../assignment-data.ts'
import { NOTHING_TOLD } from '../assignment-data.ts'
import type { Member, TaskShape } from '../assignment.ts'

export function shapes(
  stateful: number,
  stateless: number,
  more: readonly number[] = [],
): readonly TaskShape[] {
  const shape = (subTopology: number, partition: number): TaskShape => ({
    taskId: `${subTopology}_${partition}`,
    subTopology,
    stateful: subTopology !== 1,
    followable: subTopology !== 1,
    inputs: [{ topic: `input-${subTopology}`, partition }],
  })
  return [
    ...Array.from({ length: stateful }, (_, partition) => shape(0, partition)),
    ...Array.from({ length: stateless }, (_, partition) => shape(1, partition)),
    ...more.flatMap((count, index) =>
      Array.from({ length: count }, (_, partition) => shape(2 + index, partition)),
    ),
  ]
}

export function member(memberId: string, told: Partial<Member> = {}): Member {
  return { ...NOTHING_TOLD, memberId, instance: memberId, ...told }
}

export function activeOf(
  assigned: ReadonlyMap<string, AssignedTasks>,
  memberId: string,
): readonly string[] {
  return [...(assigned.get(memberId)?.active ?? [])].sort()
}

/** What a member says at its next join when it runs what it was given; standbys have followed to `standbyAt`. */
export function afterwards(
  members: readonly Member[],
  assigned: ReadonlyMap<string, AssignedTasks>,
  standbyAt: number = 90,
): readonly Member[] {
  return members.map((before) => {
    const given = assigned.get(before.memberId)
    const active = given?.active ?? []
    const positions = Object.fromEntries([
      ...(given?.standby ?? []).map((taskId) => [taskId, standbyAt] as const),
      ...active.map((taskId) => [taskId, 100] as const),
    ])
    return { ...before, active, positions }
  })
}

export const spreadOf = (counts: readonly number[]): number =>
  Math.max(...counts) - Math.min(...counts)
