/**
 * The orders in which Java's collections hand out what was put into them: the reference's text rests on them (semantics 1.8).
 *
 * Invariant: same additions in the same order, same order out, as in `java.util.HashMap` and `java.util.TreeSet`.
 */

/** `s[0]·31^(n−1) + … + s[n−1]` in 32 bits. */
function hashCode(text: string): number {
  let hash = 0
  for (let at = 0; at < text.length; at++) hash = (Math.imul(hash, 31) + text.charCodeAt(at)) | 0
  return hash
}

/**
 * The order of a `HashSet` or of a `HashMap`'s keys: by bucket, and in the order of addition within one. The table has 16
 * buckets and doubles above three quarters; a doubling keeps the order within a bucket.
 */
export function hashOrder(texts: Iterable<string>): readonly string[] {
  const unique = [...new Set(texts)]
  let size = 16
  while (unique.length > size * 0.75) size *= 2
  const bucket = (text: string): number => {
    const hash = hashCode(text)
    return (hash ^ (hash >>> 16)) & (size - 1)
  }
  return unique
    .map((text) => ({ text, at: bucket(text) }))
    .sort((one, other) => one.at - other.at)
    .map(({ text }) => text)
}

interface Entry<T> {
  readonly value: T
  isRed: boolean
  parent: Entry<T> | undefined
  left: Entry<T> | undefined
  right: Entry<T> | undefined
}

/**
 * A `TreeSet`: a red-black tree that never looks again at what it has placed. Where the comparison changes after an
 * addition the order is whatever the tree was then, which is why a sorted list would not do.
 */
export class TreeSet<T> {
  #root: Entry<T> | undefined
  readonly #compare: (one: T, other: T) => number

  constructor(compare: (one: T, other: T) => number) {
    this.#compare = compare
  }

  add(value: T): void {
    let parent: Entry<T> | undefined
    let side: 'left' | 'right' = 'left'
    for (let at = this.#root; at !== undefined; at = at[side]) {
      const order = this.#compare(value, at.value)
      if (order === 0) return
      parent = at
      side = order < 0 ? 'left' : 'right'
    }
    const entry: Entry<T> = { value, isRed: true, parent, left: undefined, right: undefined }
    if (parent === undefined) this.#root = entry
    else parent[side] = entry
    this.#repair(entry)
  }

  *[Symbol.iterator](): Generator<T, void, undefined> {
    yield* this.#below(this.#root)
  }

  *#below(entry: Entry<T> | undefined): Generator<T, void, undefined> {
    if (entry === undefined) return
    yield* this.#below(entry.left)
    yield entry.value
    yield* this.#below(entry.right)
  }

  /** No red entry has a red parent: recolours upwards where the uncle is red too, else rotates once or twice. */
  #repair(added: Entry<T>): void {
    let entry = added
    while (entry.parent?.isRed) {
      const parent = entry.parent
      const grandparent = parent.parent
      if (grandparent === undefined) break
      const [near, far] =
        parent === grandparent.left ? (['left', 'right'] as const) : (['right', 'left'] as const)
      const uncle = grandparent[far]
      if (uncle?.isRed) {
        parent.isRed = false
        uncle.isRed = false
        grandparent.isRed = true
        entry = grandparent
        continue
      }
      if (entry === parent[far]) {
        entry = parent
        this.#rotate(entry, near)
      }
      if (entry.parent !== undefined) entry.parent.isRed = false
      grandparent.isRed = true
      this.#rotate(grandparent, far)
    }
    if (this.#root !== undefined) this.#root.isRed = false
  }

  /** `entry` moves down to `side`; its child of the other side takes its place. */
  #rotate(entry: Entry<T>, side: 'left' | 'right'): void {
    const other = side === 'left' ? 'right' : 'left'
    const child = entry[other]
    if (child === undefined) return
    entry[other] = child[side]
    const moved = child[side]
    if (moved !== undefined) moved.parent = entry
    child.parent = entry.parent
    if (entry.parent === undefined) this.#root = child
    else entry.parent[entry.parent.left === entry ? 'left' : 'right'] = child
    child[side] = entry
    entry.parent = child
  }
}
