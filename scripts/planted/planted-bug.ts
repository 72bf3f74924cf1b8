/**
 * A bug that is planted on purpose: what it is, and the places of the source that it changes while they are loaded.
 *
 * Invariant: nothing of it is in the source, so nothing of it can be in the package.
 */
export interface Rewrite {
  /** From the root of the repository. */
  readonly file: string
  /** Occurs exactly once in the file. */
  readonly find: string
  readonly replace: string
}

export interface PlantedBug {
  readonly name: string
  /** The rule that it breaks. */
  readonly rule: string
  /** In one sentence. */
  readonly what: string
  /** A seed with which it was found: tried first, so that most runs are short. The others follow. */
  readonly seed: number
  readonly rewrites: readonly Rewrite[]
}

/** The file as it is loaded with the bug in it; throws if the source is no longer what the bug was made for. */
export function rewritten(source: string, bug: string, rewrites: readonly Rewrite[]): string {
  let text = source
  for (const { file, find, replace } of rewrites) {
    const times = text.split(find).length - 1
    if (times !== 1)
      throw new Error(`${bug}: ${file} has its place ${times} times, not once:\n${find}`)
    text = text.replace(find, () => replace)
  }
  return text
}
