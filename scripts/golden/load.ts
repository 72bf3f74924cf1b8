/**
 * Reads scenario files from a folder laid out as the vectors are: `scenarios/*.json` and `random/*.jsonl`, plain or gzip.
 *
 * Invariant: every scenario in the folder is returned, none twice.
 */
import { join } from 'node:path'
import type { Scenario } from './scenario.ts'

export async function loadScenarios(folder: string): Promise<readonly Scenario[]> {
  const found: Scenario[] = []
  const glob = new Bun.Glob('{scenarios,random}/*.{json,jsonl,json.gz,jsonl.gz}')
  const paths = await Array.fromAsync(glob.scan({ cwd: folder }))
  for (const path of paths.sort()) {
    const bytes = await Bun.file(join(folder, path)).bytes()
    const text = new TextDecoder().decode(path.endsWith('.gz') ? Bun.gunzipSync(bytes) : bytes)
    if (path.includes('.jsonl'))
      for (const line of text.split('\n'))
        if (line.trim() !== '') found.push(JSON.parse(line) as Scenario)
    if (!path.includes('.jsonl')) found.push(...(JSON.parse(text) as Scenario[]))
  }
  return found
}
