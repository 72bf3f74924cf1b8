/**
 * Compares what came out with what the vectors say, part by part.
 *
 * Invariant: a difference names the part, the place in it, and both sides.
 */
import type { OutputRecord, Scenario, StoreRow, Streams } from './scenario.ts'

/** What a run gave, in the vectors' own terms. */
export interface Observed {
  readonly describe: string | undefined
  readonly internalTopicConfigs: Readonly<Record<string, Readonly<Record<string, string | number>>>>
  readonly outputs: Streams
  readonly changelogs: Streams
  readonly internalTopics: Streams
  readonly stores: Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>
  /** Grace of the windows whose results come on close, by store. */
  readonly graceOnClose: Readonly<Record<string, number>>
  /** Retention of window stores behind a record cache. */
  readonly cachedRetention: Readonly<Record<string, number>>
  readonly droppedRecords: number
  readonly error:
    { readonly phase: string; readonly step?: number; readonly message: string } | undefined
}
export interface Difference {
  readonly part: string
  readonly difference: string
}

export function compare(scenario: Scenario, observed: Observed): Difference | undefined {
  return differences(scenario, observed).next().value ?? undefined
}

function* differences(scenario: Scenario, observed: Observed): Generator<Difference, undefined> {
  const { expected } = scenario
  yield* part('error', errorOf(expected.error), errorOf(observed.error), observed.error?.message)
  if (expected.describe !== undefined) yield* part('describe', expected.describe, observed.describe)
  if (expected.internalTopicConfigs !== undefined)
    yield* part(
      'internalTopicConfigs',
      expected.internalTopicConfigs,
      observed.internalTopicConfigs,
    )
  const longRetention = scenario.expectedLongRetention
  const outputs =
    longRetention === undefined
      ? expected.outputs
      : ((longRetention as { outputs?: Streams }).outputs ?? (longRetention as Streams))
  const multiset = expected.internalTies === true
  yield* streams('outputs', outputs, observed.outputs, multiset)
  // With ample retention the late rows that the reference's store refused are kept: its changelog and rows are the lossy ones.
  yield* streams('changelogs', expected.changelogs, observed.changelogs, multiset)
  yield* streams('internalTopics', expected.internalTopics, observed.internalTopics, multiset)
  if (longRetention === undefined && expected.stores !== undefined)
    for (const [name, rows] of Object.entries(expected.stores))
      yield* storeRows(name, rows, observed)
  if (expected.droppedRecords !== undefined && expected.error === undefined)
    yield* dropped(scenario, observed.droppedRecords)
  return undefined
}

/**
 * Rows of windows that on-close has emitted are an artefact of the reference's retention: only open ones count. And where it has
 * a cache, that shows windows which retention hides.
 */
function* storeRows(
  name: string,
  expected: readonly StoreRow[],
  { stores, graceOnClose, cachedRetention }: Observed,
): Generator<Difference> {
  const got = stores[name] ?? []
  const want = shownRows(expected, cachedRetention[name])
  const graceMs = graceOnClose[name]
  if (graceMs === undefined) return yield* part(`stores/${name}`, want, got)
  const times = [...want, ...got].map(({ timestamp }) => Number(timestamp))
  const closeMs = Math.max(...times) - graceMs
  const isOpen = ({ key }: StoreRow): boolean => (key as { end: number }).end > closeMs
  yield* part(`stores/${name}`, want.filter(isOpen), got.filter(isOpen))
}

function shownRows(rows: readonly StoreRow[], retentionMs?: number): readonly StoreRow[] {
  if (retentionMs === undefined) return rows
  const startOf = ({ key }: StoreRow): number => (key as { start: number }).start
  const shownFromMs = Math.max(...rows.map(startOf)) - retentionMs + 1
  return rows.filter((row) => startOf(row) >= shownFromMs)
}

/** Some drops differ between the reference's own stores, and either count is right. */
function* dropped(
  { expected, expectedInMemory }: Scenario,
  observed: number,
): Generator<Difference> {
  if (observed === expectedInMemory?.droppedRecords) return
  yield* part('droppedRecords', expected.droppedRecords, observed)
}

function errorOf(error: { readonly phase: string; readonly step?: number } | undefined): unknown {
  return error === undefined ? null : { phase: error.phase, step: error.step ?? null }
}

function* streams(
  title: string,
  expected: Streams | undefined,
  observed: Streams,
  multiset: boolean,
): Generator<Difference> {
  if (expected === undefined) return
  const topics = new Set([...Object.keys(expected), ...Object.keys(observed)])
  for (const topic of topics) {
    const [want, got] = [expected[topic] ?? [], observed[topic] ?? []]
    // A null time means that none was set: the log's writer sets its own, which no vector can know.
    const timed = got.map((record, at) =>
      want[at]?.timestamp === null ? { ...record, timestamp: null } : record,
    )
    yield* part(`${title}/${topic}`, multiset ? sorted(want) : want, multiset ? sorted(got) : timed)
  }
}

function sorted(records: readonly OutputRecord[]): readonly OutputRecord[] {
  const text = new Map(records.map((record) => [record, canonical(record)]))
  return [...records].sort((a, b) => (text.get(a) ?? '').localeCompare(text.get(b) ?? ''))
}

function* part(title: string, want: unknown, got: unknown, note?: string): Generator<Difference> {
  if (canonical(want) === canonical(got)) return
  const more = note === undefined ? '' : ` (${note})`
  yield { part: title, difference: firstDifference(want, got) + more }
}

function firstDifference(want: unknown, got: unknown): string {
  if (Array.isArray(want) && Array.isArray(got)) {
    const length = Math.max(want.length, got.length)
    for (let at = 0; at < length; at += 1)
      if (canonical(want[at]) !== canonical(got[at]))
        return `[${at}] expected ${canonical(want[at])}, got ${canonical(got[at])}`
  }
  if (typeof want === 'string' && typeof got === 'string') {
    const [wantLines, gotLines] = [want.split('\n'), got.split('\n')]
    const at = wantLines.findIndex((line, index) => line !== gotLines[index])
    return `line ${at + 1}: expected ${wantLines[at]}, got ${gotLines[at]}`
  }
  return `expected ${canonical(want)}, got ${canonical(got)}`
}

/** JSON with sorted fields; a missing list of headers is an empty one. */
function canonical(value: unknown): string {
  return (
    (JSON.stringify(value, (key, inner: unknown) => {
      if (key === 'headers' && Array.isArray(inner) && inner.length === 0) return undefined
      if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return inner
      return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
    }) as string | undefined) ?? 'nothing'
  )
}
