/**
 * A bounded cache of what the backend holds: two generations of `Map`, the older one dropped whole when the younger is full.
 *
 * Invariant: never more than `entriesMax` entries; what was read or set within the last half of that many is kept.
 */
export class TwoGenerationCache<T> {
  #generationMax: number
  #young: Map<string, T> = new Map()
  #old: Map<string, T> = new Map()

  constructor(entriesMax: number) {
    this.#generationMax = generationOf(entriesMax)
  }

  /** Takes another maximum, and drops each generation that is above it: entries have turned out larger, or smaller. */
  resize(entriesMax: number): void {
    this.#generationMax = generationOf(entriesMax)
    if (this.#old.size > this.#generationMax) this.#old = new Map()
    if (this.#young.size > this.#generationMax) this.#young = new Map()
  }

  get size(): number {
    return this.#young.size + this.#old.size
  }

  get(key: string): T | undefined {
    const young = this.#young.get(key)
    if (young !== undefined) return young
    const old = this.#old.get(key)
    if (old !== undefined) this.set(key, old)
    return old
  }

  set(key: string, value: T): void {
    this.#young.set(key, value)
    if (this.#young.size < this.#generationMax) return
    this.#old = this.#young
    this.#young = new Map()
  }
}

function generationOf(entriesMax: number): number {
  return Math.max(1, Math.floor(entriesMax / 2))
}
