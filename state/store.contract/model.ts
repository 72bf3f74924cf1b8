/**
 * The model of a store: commands of many operations each, run against it and against a plain map.
 *
 * Commands are numbers, from which their operations follow, so that fast-check can shrink what fails.
 */
import { expect } from 'bun:test'
import * as fc from 'fast-check'
import { isOrdered, type StateStore, type StoreBackend, type StoreLocation } from '../store.ts'
import { changesFor, Fold, headerAt, hexLines, keyFor, numbers, positionOf } from './fixtures.ts'

const KEYS = 4_000

interface Subject {
  readonly backend: StoreBackend
  readonly location: StoreLocation
  store: StateStore
}

interface Model {
  readonly fold: Fold
  position: number
}

/** Gets, puts and removes so far, and rows that were compared in scans and ranges. */
export interface Tally {
  operations: number
  rowsScanned: number
}

type Command = fc.AsyncCommand<Model, Subject>

function command(text: string, run: (model: Model, subject: Subject) => Promise<void>): Command {
  return { check: () => true, run, toString: () => text }
}

const count = fc.integer({ min: 1, max: 2_000 })
const bound = fc.option(fc.nat({ max: KEYS }), { nil: undefined })
interface Bounds {
  readonly from: number | undefined
  readonly to: number | undefined
  readonly reverse: boolean
  readonly chunkRows: number
}
const bounds: fc.Arbitrary<Bounds> = fc.record({
  from: bound,
  to: bound,
  reverse: fc.boolean(),
  chunkRows: fc.constantFrom(1_000, 100, 7),
})

function scanOptions({ from, to, reverse, chunkRows }: Bounds): Parameters<StateStore['scan']>[0] {
  return {
    ...(from === undefined ? {} : { from: keyFor(from) }),
    ...(to === undefined ? {} : { to: keyFor(to) }),
    reverse,
    chunkRows,
  }
}

function expected(model: Model, { from, to, reverse }: Bounds): string[] {
  const lines = model.fold.lines(
    from === undefined ? undefined : keyFor(from),
    to === undefined ? undefined : keyFor(to),
  )
  return reverse ? lines.toReversed() : lines
}

async function applyTo(
  model: Model,
  { store }: Subject,
  seed: number,
  size: number,
): Promise<void> {
  const changes = changesFor({ seed, count: size, keys: KEYS, valueBytesMax: 60 })
  model.position += 1
  model.fold.apply(changes)
  await store.apply(changes, headerAt(model.position))
}

function commands(tally: Tally): fc.Arbitrary<Command>[] {
  const applies = fc.tuple(fc.integer(), count).map(([seed, size]) =>
    command(`apply(${seed}, ${size})`, async (model, subject) => {
      await applyTo(model, subject, seed, size)
      tally.operations += size
    }),
  )
  const gets = fc.tuple(fc.integer(), count).map(([seed, size]) =>
    command(`get(${seed}, ${size})`, async ({ fold, position }, { store }) => {
      expect(positionOf(store)).toBe(position)
      const next = numbers(seed)
      const wrong: string[] = []
      for (let left = size; left > 0; left -= 1) {
        const key = keyFor(Math.floor(next() * KEYS))
        const value = store.get(key)?.toHex()
        if (value !== fold.rows.get(key.toHex())) wrong.push(`${key.toHex()}: ${value}`)
      }
      expect(wrong).toEqual([])
      tally.operations += size
    }),
  )
  const scans = bounds.map((given) =>
    command(`scan(${JSON.stringify(given)})`, async (model, { store }) => {
      const lines: string[] = []
      for await (const chunk of store.scan(scanOptions(given))) lines.push(...hexLines(chunk))
      expect(lines).toEqual(expected(model, given))
      tally.rowsScanned += lines.length
    }),
  )
  const scansWhileWriting = fc.tuple(bounds, fc.integer()).map(([given, seed]) =>
    command(`scanWhileWriting(${JSON.stringify(given)}, ${seed})`, async (model, subject) => {
      // A row that goes and comes back with the same value was written too: it counts as unchanged only while it stays.
      let unchanged = expected(model, given)
      const lines: string[] = []
      for await (const chunk of subject.store.scan(scanOptions({ ...given, chunkRows: 200 }))) {
        lines.push(...hexLines(chunk))
        await applyTo(model, subject, seed + lines.length, 50)
        tally.operations += 50
        const now = new Set(expected(model, given))
        unchanged = unchanged.filter((line) => now.has(line))
      }
      const seen = new Set(lines)
      expect(unchanged.filter((line) => !seen.has(line))).toEqual([])
      const keys = lines.map((line) => line.split('=')[0] ?? '')
      const inOrder = [...new Set(keys)].sort()
      expect(keys).toEqual(given.reverse ? inOrder.toReversed() : inOrder)
      tally.rowsScanned += lines.length
    }),
  )
  const ranges = fc.tuple(bounds, fc.option(count, { nil: undefined })).map(([given, rowsMax]) =>
    command(`range(${JSON.stringify(given)}, ${rowsMax})`, async (model, { store }) => {
      if (!isOrdered(store)) return
      const options = { ...scanOptions(given), ...(rowsMax === undefined ? {} : { rowsMax }) }
      const lines = hexLines(store.range(options))
      expect(lines).toEqual(expected(model, given).slice(0, rowsMax))
      tally.rowsScanned += lines.length
    }),
  )
  const reopens = fc.constant(
    command('reopen', async (_model, subject) => {
      await subject.store.close()
      subject.store = (await subject.backend.open(subject.location)).store
    }),
  )
  return [applies, applies, applies, gets, gets, scans, scansWhileWriting, ranges, reopens]
}

/** Runs commands until there were `operationsMin` operations. */
export async function runStoreModel(backend: StoreBackend, operationsMin: number): Promise<Tally> {
  const tally: Tally = { operations: 0, rowsScanned: 0 }
  let runs = 0
  const property = fc.asyncProperty(
    fc.commands(commands(tally), { size: 'max', maxCommands: 60 }),
    async (plan) => {
      runs += 1
      const location = { applicationId: 'app', taskId: '0_1', storeName: `model-${runs}` }
      const { store } = await backend.open(location)
      const subject: Subject = { backend, location, store }
      const setup = { model: { fold: new Fold(), position: 0 }, real: subject }
      try {
        await fc.asyncModelRun(() => setup, plan)
      } finally {
        await subject.store.close()
        await backend.wipe(location)
      }
    },
  )
  while (tally.operations < operationsMin) await fc.assert(property, { numRuns: 5 })
  return tally
}
