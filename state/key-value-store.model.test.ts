import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { KeyValueWriteBuffer } from './key-value-store.ts'
import { compareBytes } from './bytes.ts'
import type { KeyRange, SealedWrites, TimedValue } from './task-store.ts'
import { liveAlike, type Modelled } from './test-helpers/lifecycle.ts'
import { readable, text } from './test-helpers/task-stores.ts'

type Model = { entries: Map<string, TimedValue<string>>; puts: readonly unknown[][] }
type Op =
  | {
      readonly op: 'put'
      readonly key: string
      readonly value: string | null
      readonly atMs: number
    }
  | { readonly op: 'get'; readonly key: string }
  | { readonly op: 'range'; readonly range: KeyRange<string> }

const keys = ['', 'a', 'ab', 'b', 'c', 'é', '日本', '😀', '\uffff']
const key = fc.constantFrom(...keys)
const value = fc.option(fc.constantFrom('', 'v', 'w', 'longer'), { freq: 4 })
const bound = { from: fc.option(key, { nil: undefined }), to: fc.option(key, { nil: undefined }) }
const op: fc.Arbitrary<Op> = fc.oneof(
  fc.record({ op: fc.constant('put' as const), key, value, atMs: fc.nat(1000) }),
  fc.record({ op: fc.constant('get' as const), key }),
  fc.record({ ...bound, reverse: fc.boolean() }).map(({ from, to, reverse }) => ({
    op: 'range' as const,
    range: {
      ...(from === undefined ? {} : { from }),
      ...(to === undefined ? {} : { to }),
      reverse,
    },
  })),
)

function rangeOfModel(model: Model, { from, to, reverse }: KeyRange<string>): readonly unknown[] {
  const order = (a: string, b: string): number => compareBytes(text.encode(a), text.encode(b))
  const found = [...model.entries]
    .filter(([each]) => from === undefined || order(each, from) >= 0)
    .filter(([each]) => to === undefined || order(each, to) <= 0)
    .sort(([a], [b]) => order(a, b))
    .map(([each, timed]) => [each, timed.value])
  return reverse === true ? found.reverse() : found
}

interface Variant {
  readonly timestamped: boolean
  readonly logEvery: boolean
  readonly cacheEntriesMax: number
}

function modelled(variant: Variant): Modelled<KeyValueWriteBuffer<string, string>, Model, Op> {
  const timeOf = (atMs: number): number => (variant.timestamped ? atMs : 0)
  return {
    spec: { name: 'store', kind: 'key-value', timestamped: variant.timestamped },
    op,
    open: (store) =>
      new KeyValueWriteBuffer({
        name: 'store',
        store,
        key: text,
        value: text,
        logged: true,
        ordered: true,
        ...variant,
      }),
    empty: () => ({ entries: new Map(), puts: [] }),
    copy: ({ entries, puts }) => ({ entries: new Map(entries), puts }),
    do(each, store, model) {
      if (each.op === 'get') {
        expect(store.getTimed(each.key)).toEqual(model.entries.get(each.key))
      } else if (each.op === 'range') {
        expect([...store.range(each.range)]).toEqual(rangeOfModel(model, each.range) as never)
      } else {
        store.put(each.key, each.value, each.atMs)
        model.puts = [...model.puts, [latin1(each.key), latin1(each.value), each.atMs]]
        if (each.value === null) model.entries.delete(each.key)
        else model.entries.set(each.key, { value: each.value, timestampMs: timeOf(each.atMs) })
      }
    },
    compare(store, model) {
      for (const each of keys) expect(store.getTimed(each)).toEqual(model.entries.get(each))
      expect([...store.range({})]).toEqual(rangeOfModel(model, {}) as never)
    },
    compareSealed(sealed: SealedWrites, before, after) {
      const puts = after.puts.slice(before.puts.length)
      const known = new Set([...before.entries.keys()].map(latin1))
      const lastOnly = puts
        .filter(([each], index) => !puts.slice(index + 1).some(([later]) => later === each))
        .filter(([each, last]) => last !== null || known.has(each as string))
      expect(sealed.changelog.map(readable)).toEqual(variant.logEvery ? puts : lastOnly)
    },
  }
}

function latin1(value: string | null): string | null {
  return value === null ? null : Buffer.from(value).toString('latin1')
}

describe('a key-value store lives like a Map with snapshots', () => {
  const variants: readonly Variant[] = [
    { timestamped: true, logEvery: false, cacheEntriesMax: 1000 },
    { timestamped: true, logEvery: true, cacheEntriesMax: 4 },
    { timestamped: false, logEvery: false, cacheEntriesMax: 2 },
  ]
  test.each(variants)('%o', async (variant) => {
    await liveAlike(modelled(variant), 400)
  })
})
