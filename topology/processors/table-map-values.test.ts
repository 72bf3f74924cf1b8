import { expect, test } from 'bun:test'
import { operator, sink, source, tableStore } from '../test-helper/nodes.ts'
import { Rig } from '../test-helper/rig.ts'

function mapped(store?: string) {
  const asked: unknown[] = []
  const seen: unknown[] = []
  const nodes = [
    source('in'),
    operator('table-source', 't', 'in', { store: 's', sendsOldValues: true }),
    operator('table-map-values', 'm', 't', {
      mapper: (value, key) => (asked.push(value), `${key}:${value}`),
      store,
      sendsOldValues: true,
    }),
    operator('table-filter', 'see', 'm', {
      predicate: (value) => seen.push(value) > 0,
      keep: true,
      store: undefined,
      sendsOldValues: true,
    }),
    operator('to-stream', 'ts', 'see', {}),
    sink('ts'),
  ]
  const stores = [tableStore('s'), ...(store === undefined ? [] : [tableStore(store)])]
  return { asked, seen, opening: Rig.open(nodes, stores) }
}

test('an absent value stays absent and the mapper is not asked (K4)', async () => {
  const { asked, opening } = mapped()
  const rig = await opening
  rig.pipe('in', 'a', null, 1)
  rig.pipe('in', 'a', 'x', 2)
  expect(asked).toEqual(['x'])
  expect(rig.take()).toEqual(['a a:x@2'])
})

test('old values are mapped on the fly, or read from the store if there is one', async () => {
  for (const store of [undefined, 'm-store']) {
    const { seen, opening } = mapped(store)
    const rig = await opening
    rig.pipe('in', 'a', 'x', 1)
    rig.pipe('in', 'a', 'y', 2)
    expect(seen).toEqual(['a:x', 'a:y', 'a:x'])
  }
})
