/**
 * Reads groups from their rows: the coordinator's state machine as JSON, one row a group.
 *
 * Invariant: no deadline is further away than its own time-out, even if the wall clock was set back meanwhile.
 */
import type { Database, Statement } from 'bun:sqlite'

import { EMPTY_GROUP, type GroupState } from '../membership.ts'

export class GroupRows {
  readonly #select: Statement
  readonly #selectIds: Statement
  /** The last row read, so that a state that has not changed is not parsed again. */
  readonly #parsed: Map<string, { readonly text: string; readonly group: GroupState }> = new Map()

  constructor(database: Database) {
    this.#select = database.prepare('SELECT state FROM groups WHERE group_id = ?')
    this.#selectIds = database.prepare(
      'SELECT group_id FROM groups UNION SELECT group_id FROM offsets',
    )
  }

  groupIds(): readonly string[] {
    return this.#selectIds.values().map(([groupId]) => String(groupId))
  }

  /** A group that nobody ever joined is empty. */
  read(groupId: string, nowMs: number): GroupState {
    const row = this.#select.values(groupId)[0]
    if (row === undefined) return EMPTY_GROUP
    const text = String(row[0])
    const known = this.#parsed.get(groupId)
    if (known?.text === text) return clampDeadlines(known.group, nowMs)
    const group = JSON.parse(text) as GroupState
    this.#parsed.set(groupId, { text, group })
    return clampDeadlines(group, nowMs)
  }
}

function clampDeadlines(group: GroupState, nowMs: number): GroupState {
  const latestMs = (timeoutMs: number): number => nowMs + timeoutMs
  const barrierMs = latestMs(
    Math.max(0, ...group.members.map((member) => member.rebalanceTimeoutMs)),
  )
  const isSane =
    (group.phase !== 'joining' || group.joinDeadlineMs <= barrierMs) &&
    group.members.every((member) => member.expiresAtMs <= latestMs(member.sessionTimeoutMs))
  if (isSane) return group
  return {
    ...group,
    joinDeadlineMs: Math.min(group.joinDeadlineMs, barrierMs),
    members: group.members.map((member) => ({
      ...member,
      expiresAtMs: Math.min(member.expiresAtMs, latestMs(member.sessionTimeoutMs)),
    })),
  }
}
