/**
 * Groups in their rows.
 *
 * Invariant: a group changes only inside the transaction of one step.
 */
import type { Database } from 'bun:sqlite'

import type { MemberIdentity } from '../log.ts'

export class GroupSteps {
  constructor(_database: Database) {}

  /** LOG_FENCED unless `member` may commit for the group now. */
  checkCommit(_groupId: string, _member: MemberIdentity | undefined): void {}
}
