/**
 * The keys of a map in order, sorted no earlier than somebody asks for the order.
 *
 * Invariant: once settled, `#chunks` holds exactly the owner's keys, ascending; no chunk is empty or above `CHUNK_MAX`.
 *
 * Changes are only noted. When the order is asked for, few notes are put into their chunks one by one (each a binary search
 * and a short splice); many notes, and the first time, sort everything anew.
 */
const CHUNK_KEYS = 512
const CHUNK_MAX = 2 * CHUNK_KEYS

export class SortedKeys {
  readonly #owner: ReadonlyMap<string, unknown>
  #chunks: string[][] = []
  /** Keys that came to the owner or left it since the last `settle`; undefined when everything must be sorted. */
  #noted: Set<string> | undefined

  constructor(owner: ReadonlyMap<string, unknown>) {
    this.#owner = owner
  }

  /** Must be called for each key that the owner gained or lost. */
  note(key: string): void {
    if (this.#noted === undefined) return
    this.#noted.add(key)
    // From here on sorting anew is cheaper than what is noted, so nothing more needs to be.
    if (this.#noted.size > 64 + (this.#owner.size >> 3)) this.#noted = undefined
  }

  /** Keys with `from ≤ key < to`, at most `keysMax` of them: the first ones, or with `reverse` the last ones, last first. */
  slice(
    from: string | undefined,
    to: string | undefined,
    keysMax: number,
    reverse: boolean,
  ): readonly string[] {
    this.#settle()
    return reverse ? this.#down(from, to, keysMax) : this.#up(from, to, keysMax)
  }

  #up(from: string | undefined, to: string | undefined, keysMax: number): string[] {
    const keys: string[] = []
    let at = from === undefined ? 0 : this.#chunkOf(from)
    let index = from === undefined ? 0 : firstNotBelow(this.#chunks[at] ?? [], from)
    for (; at < this.#chunks.length; at += 1, index = 0) {
      const chunk = this.#chunks[at] ?? []
      for (; index < chunk.length; index += 1) {
        const key = chunk[index] as string
        if (keys.length >= keysMax || (to !== undefined && key >= to)) return keys
        keys.push(key)
      }
    }
    return keys
  }

  #down(from: string | undefined, to: string | undefined, keysMax: number): string[] {
    const keys: string[] = []
    let at = to === undefined ? this.#chunks.length - 1 : this.#chunkOf(to)
    const last = this.#chunks[at] ?? []
    let index = (to === undefined ? last.length : firstNotBelow(last, to)) - 1
    while (at >= 0) {
      const chunk = this.#chunks[at] ?? []
      for (; index >= 0; index -= 1) {
        const key = chunk[index] as string
        if (keys.length >= keysMax || (from !== undefined && key < from)) return keys
        keys.push(key)
      }
      at -= 1
      index = (this.#chunks[at]?.length ?? 0) - 1
    }
    return keys
  }

  #settle(): void {
    const noted = this.#noted
    if (noted === undefined) {
      const keys = [...this.#owner.keys()].sort()
      this.#chunks = []
      for (let at = 0; at < keys.length; at += CHUNK_KEYS) {
        this.#chunks.push(keys.slice(at, at + CHUNK_KEYS))
      }
    } else {
      for (const key of noted) {
        if (this.#owner.has(key)) this.#insert(key)
        else this.#remove(key)
      }
    }
    if (noted?.size !== 0) this.#noted = new Set()
  }

  #insert(key: string): void {
    const at = this.#chunkOf(key)
    const chunk = this.#chunks[at]
    if (chunk === undefined) {
      this.#chunks.push([key])
      return
    }
    const index = firstNotBelow(chunk, key)
    if (chunk[index] === key) return
    chunk.splice(index, 0, key)
    if (chunk.length > CHUNK_MAX) this.#chunks.splice(at + 1, 0, chunk.splice(CHUNK_KEYS))
  }

  #remove(key: string): void {
    const at = this.#chunkOf(key)
    const chunk = this.#chunks[at]
    if (chunk === undefined) return
    const index = firstNotBelow(chunk, key)
    if (chunk[index] !== key) return
    chunk.splice(index, 1)
    if (chunk.length === 0) this.#chunks.splice(at, 1)
  }

  /** The chunk that holds `key` or would: the last one that starts at or below it, else the first. */
  #chunkOf(key: string): number {
    let low = 0
    let high = this.#chunks.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#chunks[middle]?.[0] ?? '') <= key) low = middle + 1
      else high = middle
    }
    return Math.max(low - 1, 0)
  }
}

/** The index of the first key at or after `key`. */
function firstNotBelow(keys: readonly string[], key: string): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((keys[middle] as string) < key) low = middle + 1
    else high = middle
  }
  return low
}
