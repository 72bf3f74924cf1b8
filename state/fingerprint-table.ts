/**
 * Fingerprints of ids in flat arrays: 8 bytes a slot, open addressing, so that a million ids cost about twenty megabytes.
 *
 * Invariant: every entry is found by probing from its home slot without passing an empty one; equal fingerprints may be there
 * more than once, and each is a suspicion that its owner verifies.
 *
 * A slot is two words: fingerprint low, ordinal + 1 (0 = empty). The table is cut into shards by the top bits of fingerprint
 * high, so that growing never moves more than a sixteenth of it at once; nothing else of it is kept, nor is the time of an
 * entry: who looks an entry up has both where its id is.
 */
const SHARD_BITS = 4
const SHARD_SHIFT = 32 - SHARD_BITS
const SLOTS_MIN = 64
const WORDS = 2
const ORDINAL = 1
/** A shard doubles when more than this part of it is taken. */
const LOAD_MAX = 0.75

export class FingerprintTable {
  readonly #shards: Uint32Array[] = []
  readonly #taken: number[] = []
  #bytes = 0

  // Where the search is: the next slot to look at, in words.
  #probed: Uint32Array = new Uint32Array(0)
  #at = 0
  #low = 0

  constructor(expected: number = 0) {
    const slots = slotsFor(expected / (1 << SHARD_BITS))
    for (let shard = 0; shard < 1 << SHARD_BITS; shard++) {
      this.#shards.push(new Uint32Array(slots * WORDS))
      this.#taken.push(0)
    }
    this.#bytes = (slots * WORDS * 4) << SHARD_BITS
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Starts a search; `next` answers the ordinals of its matches one by one. */
  search(low: number, high: number): void {
    const slots = this.#shards[high >>> SHARD_SHIFT] as Uint32Array
    this.#probed = slots
    this.#low = low >>> 0
    this.#at = home(slots, low)
  }

  /** The next match's ordinal, or −1. */
  next(): number {
    const slots = this.#probed
    while (true) {
      const at = this.#at
      const ordinal = slots[at + ORDINAL] as number
      if (ordinal === 0) return -1
      this.#at = (at + WORDS) & (slots.length - 1)
      if (slots[at] === this.#low) return ordinal - 1
    }
  }

  add(low: number, high: number, ordinal: number): void {
    const shard = high >>> SHARD_SHIFT
    let slots = this.#shards[shard] as Uint32Array
    const taken = (this.#taken[shard] as number) + 1
    if (taken * WORDS > slots.length * LOAD_MAX) slots = this.#grow(shard)
    this.#taken[shard] = taken
    insert(slots, low >>> 0, ordinal + 1)
  }

  /** Takes one entry out and moves those behind it up, so that no probe stops early. */
  remove(low: number, high: number, ordinal: number): void {
    const shard = high >>> SHARD_SHIFT
    const slots = this.#shards[shard] as Uint32Array
    const mask = slots.length - 1
    let hole = home(slots, low)
    while (slots[hole + ORDINAL] !== ordinal + 1) {
      if (slots[hole + ORDINAL] === 0) return
      hole = (hole + WORDS) & mask
    }
    this.#taken[shard] = (this.#taken[shard] as number) - 1
    for (let at = (hole + WORDS) & mask; slots[at + ORDINAL] !== 0; at = (at + WORDS) & mask) {
      const from = home(slots, slots[at] as number)
      // An entry may move up unless its home lies behind the hole.
      if (((at - from) & mask) < ((at - hole) & mask)) continue
      slots.copyWithin(hole, at, at + WORDS)
      hole = at
    }
    slots.fill(0, hole, hole + WORDS)
  }

  #grow(shard: number): Uint32Array {
    const old = this.#shards[shard] as Uint32Array
    const larger = new Uint32Array(old.length * 2)
    for (let at = 0; at < old.length; at += WORDS) {
      const ordinal = old[at + ORDINAL] as number
      if (ordinal === 0) continue
      insert(larger, old[at] as number, ordinal)
    }
    this.#shards[shard] = larger
    this.#bytes += old.length * 4
    return larger
  }
}

function slotsFor(entries: number): number {
  let slots = SLOTS_MIN
  while (entries > slots * LOAD_MAX) slots *= 2
  return slots
}

/** The first word of the slot where a fingerprint belongs. */
function home(slots: Uint32Array, low: number): number {
  return Math.imul(low, WORDS) & (slots.length - 1)
}

function insert(slots: Uint32Array, low: number, mark: number): void {
  let at = home(slots, low)
  while (slots[at + ORDINAL] !== 0) at = (at + WORDS) & (slots.length - 1)
  slots[at] = low
  slots[at + ORDINAL] = mark
}
