/**
 * What both kinds of table share: a name, and that streams can be joined with them.
 *
 * Invariant: a face decides nothing but how a call is written; what it means is the draft's.
 */
import type { Faces } from './faces.ts'
import type { TableDraft } from './table-draft.ts'

export abstract class TableFace {
  readonly draft: TableDraft
  protected readonly faces: Faces

  constructor(draft: TableDraft, faces: Faces) {
    this.draft = draft
    this.faces = faces
  }

  /** Of its store; its node's where it has none of its own. */
  get name(): string {
    const { store, name } = this.draft.facts
    return store ?? name
  }
}
