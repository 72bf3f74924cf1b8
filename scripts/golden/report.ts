/**
 * Runs every scenario of a folder and counts per area.
 *
 * Invariant: run = passed + failed, and every scenario is either run or unsupported.
 */
import { compare } from './compare.ts'
import { loadScenarios } from './load.ts'
import { run } from './run.ts'
import { missingFor } from './support.ts'

export interface AreaReport {
  run: number
  passed: number
  readonly failed: { readonly name: string; readonly part: string; readonly difference: string }[]
  readonly unsupported: { readonly name: string; readonly because: string }[]
}

export async function runAll(
  folder: string,
  area: string | undefined,
): Promise<Readonly<Record<string, AreaReport>>> {
  const report: Record<string, AreaReport> = {}
  for (const scenario of await loadScenarios(folder)) {
    if (area !== undefined && scenario.area !== area) continue
    const counts = (report[scenario.area] ??= { run: 0, passed: 0, failed: [], unsupported: [] })
    const { name } = scenario
    const missing = missingFor(scenario)
    if (missing.length > 0) {
      counts.unsupported.push({ name, because: missing.join(', ') })
      continue
    }
    counts.run += 1
    const found = compare(scenario, await run(scenario))
    if (found === undefined) counts.passed += 1
    else counts.failed.push({ name, ...found })
  }
  return report
}
