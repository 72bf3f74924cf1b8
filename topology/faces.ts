/**
 * Which face a draft shows: handed to every face, so that streams, groups and tables can lead to one another.
 *
 * Invariant: all faces of one builder come from one of these.
 */
import type { TimeWindowsSpec } from './node.ts'
import type { GroupedDraft } from './grouped-draft.ts'
import type { StreamDraft } from './stream-draft.ts'
import type { TableDraft } from './table-draft.ts'

export interface Faces {
  stream(draft: StreamDraft): object
  grouped(draft: GroupedDraft, windows?: TimeWindowsSpec): object
  table(draft: TableDraft): object
}
