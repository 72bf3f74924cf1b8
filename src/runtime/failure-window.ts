/**
 * Which of the last 100 records failed: more than half of them, and the task is poisoned (R15).
 *
 * Invariant: it depends on the records taken and on nothing else, restarts included: it is kept in committed metadata.
 */
const RECORDS = 100
/** Half of the window in each saved number: both stay safe integers. */
const HALF = 2 ** 50

export class FailureWindow {
  /** A 1 for each failure, the latest record lowest: 50 bits each, the older ones in `#older`. */
  #latest: number = 0
  #older: number = 0
  #failures: number = 0

  /** Hot path: nothing to do while none of the window failed. */
  succeeded(): void {
    if (this.#failures > 0) this.#shift(0)
  }

  /** False, and nothing is counted, if this record makes it more than half: it is not to be passed over. */
  failed(): boolean {
    const leaving = Math.floor(this.#older / (HALF / 2))
    if (this.#failures + 1 - leaving > RECORDS / 2) return false
    this.#shift(1)
    return true
  }

  saved(): readonly [latest: number, older: number] {
    return [this.#latest, this.#older]
  }

  restore(latest: number, older: number): void {
    this.#latest = latest
    this.#older = older
    this.#failures = onesIn(latest) + onesIn(older)
  }

  #shift(bit: number): void {
    const dropped = Math.floor(this.#older / (HALF / 2))
    const carried = Math.floor(this.#latest / (HALF / 2))
    this.#older = (this.#older % (HALF / 2)) * 2 + carried
    this.#latest = (this.#latest % (HALF / 2)) * 2 + bit
    this.#failures += bit - dropped
  }
}

function onesIn(number: number): number {
  return number.toString(2).replaceAll('0', '').length
}
