/**
 * How a scenario tells what it saw: a table of name and value, and the violations under it.
 *
 * Invariant: a figure is printed only if it was measured in this run.
 */
export type Row = readonly [name: string, value: string | number]

const SHOWN_MAX = 20

export function printTable(title: string, rows: readonly Row[]): void {
  const width = Math.max(...rows.map(([name]) => name.length))
  console.log(title)
  for (const [name, value] of rows) console.log(`  ${name.padEnd(width)}  ${value}`)
}

/** p50, p95, p99 and max in milliseconds. */
export function percentiles(title: string, samples: readonly number[]): readonly Row[] {
  const sorted = [...samples].sort((a, b) => a - b)
  const at = (share: number): string => {
    const index = Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)
    return `${(sorted[Math.max(0, index)] ?? Number.NaN).toFixed(1)} ms`
  }
  return [
    [`${title} p50`, at(0.5)],
    [`${title} p95`, at(0.95)],
    [`${title} p99`, at(0.99)],
    [`${title} max`, at(1)],
  ]
}

/** Prints what is broken; the exit code follows from it. */
export function verdict(violations: readonly string[]): number {
  for (const violation of violations.slice(0, SHOWN_MAX)) console.log(`  VIOLATED: ${violation}`)
  console.log(violations.length === 0 ? 'every invariant holds' : `${violations.length} violations`)
  return violations.length === 0 ? 0 : 1
}
