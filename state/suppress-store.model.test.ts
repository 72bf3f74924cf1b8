import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { bufferedBytes } from './buffer-value.ts'
import { compareBytes } from './bytes.ts'
import { SuppressBuffer } from './suppress-store.ts'
import type { BufferedChange } from './task-store.ts'
import { liveAlike, type Modelled } from './test-helpers/lifecycle.ts'

interface Buffered {
  readonly timeMs: number
  readonly change: BufferedChange
}
type Model = Map<string, Buffered>
type Op =
  | { readonly op: 'take' }
  | {
      readonly op: 'put'
      readonly key: string
      readonly timeMs: number
      readonly oldValue: Uint8Array | null
      readonly newValue: Uint8Array | null
    }

const keys = ['', 'a', 'aa', 'b', 'é', '😀', '\uffff']
const value = fc.option(
  fc.constantFrom('', 'v', 'w').map((each) => Buffer.from(each)),
  { freq: 3 },
)
const op: fc.Arbitrary<Op> = fc.oneof(
  { weight: 1, arbitrary: fc.constant({ op: 'take' as const }) },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('put' as const),
      key: fc.constantFrom(...keys),
      timeMs: fc.nat(5),
      oldValue: value,
      newValue: value,
    }),
  },
)
const context = {
  timestampMs: 1,
  offset: 2,
  topic: 't',
  partition: 0,
  headers: [['h', Buffer.from('x')] as const],
}

function oldest(model: Model): Buffered | undefined {
  return [...model.values()].sort(
    (a, b) => a.timeMs - b.timeMs || compareBytes(a.change.key, b.change.key),
  )[0]
}

const modelled: Modelled<SuppressBuffer, Model, Op> = {
  spec: { name: 'store', kind: 'suppress' },
  op,
  open: (store) => new SuppressBuffer({ name: 'store', store, logged: true }),
  empty: () => new Map(),
  copy: (model) => new Map(model),
  do(each, store, model) {
    if (each.op === 'take') {
      const first = oldest(model)
      expect(store.takeOldest()).toEqual(first)
      if (first !== undefined) model.delete(Buffer.from(first.change.key).toString())
      return
    }
    const { oldValue, newValue } = each
    const key = Buffer.from(each.key)
    store.put(each.timeMs, { key, oldValue, newValue, context })
    const before = model.get(each.key)
    const priorValue = before === undefined ? oldValue : before.change.priorValue
    const timeMs = before?.timeMs ?? each.timeMs
    model.set(each.key, { timeMs, change: { key, priorValue, oldValue, newValue, context } })
  },
  compare(store, model) {
    expect(store.records).toBe(model.size)
    expect(store.oldestTimeMs).toBe(oldest(model)?.timeMs ?? Number.POSITIVE_INFINITY)
    const bytes = [...model.values()].reduce((sum, { change }) => sum + bufferedBytes(change), 0)
    expect(store.bytes).toBe(bytes)
    for (const key of keys) expect(store.get(Buffer.from(key))).toEqual(model.get(key)?.change)
  },
  compareSealed({ changelog, changes }) {
    const touched = changelog.map(({ key }) => Buffer.from(key).toString())
    expect(new Set(touched).size).toBe(touched.length)
    expect(changes.map(({ key }) => key)).toEqual(changelog.map(({ key }) => key))
  },
}

test('a suppress buffer lives like a sorted list', async () => {
  await liveAlike(modelled, 400)
}, 180_000)
