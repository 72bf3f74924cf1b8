/**
 * What a record has changed in the pipeline's own fields, so that a record that throws leaves no trace (R15).
 *
 * Invariant: after `rollback` every value noted since the last `savepoint` is what it was then; what a record did not touch
 * costs nothing.
 */
export interface Undoable {
  undo(): void
}

export class UndoLog {
  /** Grows with each savepoint: who noted itself under the present mark need not do so again. */
  mark: number = 0
  readonly #noted: Undoable[] = []

  savepoint(): void {
    this.#noted.length = 0
    this.mark += 1
  }

  note(change: Undoable): void {
    this.#noted.push(change)
  }

  rollback(): void {
    for (let i = this.#noted.length - 1; i >= 0; i -= 1) this.#noted[i]?.undo()
    this.savepoint()
  }
}

/** A number that a rollback sets back: a node's stream time, an edge of its open windows. */
export class UndoableNumber implements Undoable {
  readonly #log: UndoLog
  #value: number
  #valueBefore: number
  #mark = -1

  constructor(log: UndoLog, value: number) {
    this.#log = log
    this.#value = value
    this.#valueBefore = value
  }

  get value(): number {
    return this.#value
  }

  set value(value: number) {
    if (this.#mark !== this.#log.mark) {
      this.#mark = this.#log.mark
      this.#valueBefore = this.#value
      this.#log.note(this)
    }
    this.#value = value
  }

  undo(): void {
    this.#value = this.#valueBefore
  }
}
