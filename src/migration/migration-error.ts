/**
 * Why a migration does not begin, or does not go on.
 *
 * Invariant: the message names what it is about and what a person can do; nothing that it refuses has changed either log.
 */
export type MigrationErrorCode =
  /** A topic, group or pair of logs that cannot be migrated as it was asked for; the message says what to ask for. */
  | 'SELECTION'
  /** A group has members: stop what runs in it, and wait until its session has expired if it was killed. */
  | 'GROUP_LIVE'
  /** A group's offset is below what its topic still has: reset the group, or leave it out. */
  | 'OFFSETS_LOST'
  /** The target holds records or offsets that this migration did not put there: choose another, or delete them there. */
  | 'TARGET_IN_USE'
  /** Records came in while they were migrated: stop what writes, and run the same command again. */
  | 'SOURCE_MOVED'
  /** Source and target are not the same record by record: migrate to an empty target, and keep the source. */
  | 'DIFFERS'
  /** A commit on the target may have happened or not: run the same command again, it finds out. */
  | 'INTERRUPTED'

export class MigrationError extends Error {
  override readonly name = 'MigrationError'
  readonly code: MigrationErrorCode

  constructor(
    code: MigrationErrorCode,
    message: string,
    options: { readonly cause?: unknown } = {},
  ) {
    super(message, options)
    this.code = code
  }
}
