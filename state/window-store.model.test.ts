import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { compareBytes } from './bytes.ts'
import type { TimedValue, WindowEntry } from './task-store.ts'
import { liveAlike, type Modelled } from './test-helpers/lifecycle.ts'
import { text } from './test-helpers/task-stores.ts'
import { WindowWriteBuffer } from './window-store.ts'

const RETENTION_MS = 100_000
/** max(retention / 2, 60,000), as Kafka Streams counts. */
const SEGMENT_MS = 60_000
const ALWAYS = Number.MAX_SAFE_INTEGER

interface Row extends TimedValue<string> {
  readonly key: string
  readonly startMs: number
}
interface Model {
  rows: ReadonlyMap<string, Row>
  observedTimeMs: number
  heldFromMs: number
}
type Op =
  | {
      readonly op: 'put'
      readonly key: string
      readonly startMs: number
      readonly value: string | null
      readonly atMs: number
    }
  | { readonly op: 'hold'; readonly byMs: number }

const keys = ['', 'a', 'a\0', 'b', 'é', '😀', '\uffff']
const startMs = fc.nat(40).map((step) => step * 20_000)
const op: fc.Arbitrary<Op> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      op: fc.constant('put' as const),
      key: fc.constantFrom(...keys),
      startMs,
      value: fc.option(fc.constantFrom('', 'v', 'w'), { freq: 3 }),
      atMs: fc.nat(900_000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constant('hold' as const), byMs: fc.nat(100_000) }),
  },
)

function isShown({ observedTimeMs, heldFromMs }: Model, start: number): boolean {
  return start >= heldFromMs || start >= observedTimeMs - RETENTION_MS + 1
}

function isTaken({ observedTimeMs, heldFromMs }: Model, start: number): boolean {
  const live = Math.trunc((observedTimeMs - RETENTION_MS) / SEGMENT_MS)
  return start >= heldFromMs || Math.floor(start / SEGMENT_MS) >= live
}

function shownRows(model: Model): readonly WindowEntry<string, string>[] {
  return [...model.rows.values()]
    .filter((row) => isShown(model, row.startMs))
    .sort((a, b) => a.startMs - b.startMs || compareBytes(text.encode(a.key), text.encode(b.key)))
    .map(({ key, startMs: windowStartMs, value, timestampMs }) => {
      return { key, windowStartMs, value, timestampMs }
    })
}

function modelled(
  variant: { readonly logEvery: boolean; readonly cacheEntriesMax: number },
  heldFromMs: number,
): Modelled<WindowWriteBuffer<string, string>, Model, Op> {
  return {
    spec: { name: 'store', kind: 'window', retentionMs: RETENTION_MS, expiry: 'logged' },
    op,
    open: (store) =>
      new WindowWriteBuffer({
        name: 'store',
        store,
        key: text,
        value: text,
        sizeMs: 20_000,
        retentionMs: RETENTION_MS,
        onClose: true,
        logged: true,
        ...variant,
      }),
    empty: () => ({ rows: new Map(), observedTimeMs: -1, heldFromMs }),
    copy: ({ rows, observedTimeMs, heldFromMs: held }) => {
      return { rows: new Map(rows), observedTimeMs, heldFromMs: held }
    },
    start: (store, model) => store.holdFrom(model.heldFromMs),
    do(each, store, model) {
      if (each.op === 'hold') {
        model.heldFromMs += each.byMs
        store.holdFrom(model.heldFromMs)
        return
      }
      const { key, value, atMs } = each
      model.observedTimeMs = Math.max(model.observedTimeMs, each.startMs)
      const isAccepted = isTaken(model, each.startMs)
      expect(store.put(key, each.startMs, value, atMs)).toBe(isAccepted)
      if (!isAccepted) return
      const rows = new Map(model.rows)
      if (value === null) rows.delete(`${each.startMs} ${key}`)
      else rows.set(`${each.startMs} ${key}`, { ...each, value, timestampMs: atMs })
      model.rows = rows
    },
    compare(store, model) {
      const shown = shownRows(model)
      expect(store.observedTimeMs).toBe(model.observedTimeMs)
      expect([...store.windows(0, ALWAYS)]).toEqual([...shown])
      const within = (each: WindowEntry<string, string>): boolean =>
        each.windowStartMs >= 100_000 && each.windowStartMs <= 300_000
      expect([...store.windows(100_000, 300_000)]).toEqual(shown.filter(within))
      for (const key of keys) {
        const ofKey = shown.filter((each) => each.key === key)
        expect([...store.fetch(key, 0, ALWAYS)]).toEqual(ofKey)
        for (const start of [0, 200_000, 400_000, 780_000]) {
          const row = ofKey.find((each) => each.windowStartMs === start)
          const timed = row && { value: row.value, timestampMs: row.timestampMs }
          expect(store.getTimed(key, start)).toEqual(timed)
        }
      }
    },
  }
}

test('a window store lives like a Map with retention (S1, S3)', async () => {
  await liveAlike(modelled({ logEvery: false, cacheEntriesMax: 1000 }, ALWAYS), 250)
}, 180_000)

test('so it does with hardly any cache and every put logged', async () => {
  await liveAlike(modelled({ logEvery: true, cacheEntriesMax: 2 }, ALWAYS), 150)
}, 180_000)

test('and with windows that are held open', async () => {
  await liveAlike(modelled({ logEvery: false, cacheEntriesMax: 5 }, 0), 250)
}, 180_000)
