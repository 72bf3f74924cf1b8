/** A search in a process of its own: what was loaded with a bug in it stays there. */
import { join } from 'node:path'
import type { PlantedBug } from './planted-bug.ts'

/** What a search says in its last line. */
export interface Search {
  /** How many seeds it took; absent if none of them found anything. */
  readonly tries?: number
  readonly seed?: number
  readonly application?: string
  readonly check?: string
  readonly what?: string
}

export async function searchFor(
  { name }: Pick<PlantedBug, 'name'>,
  { seeds, first }: { readonly seeds: number; readonly first: number },
): Promise<Search> {
  const child = Bun.spawn(
    [
      process.execPath,
      '--preload',
      join(import.meta.dir, 'preload.ts'),
      join(import.meta.dir, 'search.ts'),
      `${first}`,
      `${seeds}`,
    ],
    { stdout: 'pipe', stderr: 'pipe', env: { ...process.env, MILLRACE_PLANTED: name } },
  )
  const [output, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  const line = output.trim().split('\n').at(-1)
  if (code !== 0 || line === undefined) throw new Error(`the search for ${name} failed:\n${errors}`)
  return JSON.parse(line) as Search
}
