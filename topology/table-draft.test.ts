import { describe, expect, test } from 'bun:test'
import { StreamsBuilder } from './builder.ts'
import { input, named, nodeOf, other } from './test-helper/built.ts'
import { tumbling } from './windows.ts'

const minute = tumbling({ sizeMs: 60_000, graceMs: 5_000 })

describe('1.6: which table is stored, and which tells old values', () => {
  const generated = () => new StreamsBuilder('app', { names: 'generated' })

  test('a source table is stored if it is named or read', () => {
    const plain = generated()
    plain.table(input)
    expect(nodeOf(plain.build(), 'table-source').store).toBeUndefined()
    const stored = generated()
    stored.table(input, { store: 't' })
    expect(nodeOf(stored.build(), 'table-source').store).toBe('t')
    const joined = generated()
    const table = joined.table(input).mapValues((value) => value)
    joined.stream(other).join(table, (value) => value)
    expect(nodeOf(joined.build(), 'table-source').store).toBe('in-STATE-STORE-0000000000')
    expect(nodeOf(joined.build(), 'stream-table-join').stores).toEqual([
      'in-STATE-STORE-0000000000',
    ])
  })

  test('suppress needs old values, and so a store above', () => {
    const builder = generated()
    builder.table(input).suppress({ until: 'time-limit', durationMs: 1 })
    const { store, sendsOldValues } = nodeOf(builder.build(), 'table-source')
    expect({ store, sendsOldValues }).toEqual({
      store: 'in-STATE-STORE-0000000000',
      sendsOldValues: true,
    })
  })

  test('a filter takes old values where there are some, and asks for no store', () => {
    const plain = generated()
    plain.table(input).filter(() => true)
    expect(nodeOf(plain.build(), 'table-filter').sendsOldValues).toBe(false)
    const stored = generated()
    stored.table(input, { store: 't' }).filter(() => true)
    expect(nodeOf(stored.build(), 'table-filter').sendsOldValues).toBe(true)
    expect(nodeOf(stored.build(), 'table-source').sendsOldValues).toBe(true)
  })

  test('a derived table is stored under the name that it is given', () => {
    const builder = named()
    const table = builder.table('t', input).mapValues('upper', (value) => value.toUpperCase())
    expect(table.name).toBe('upper')
    expect(nodeOf(builder.build(), 'table-map-values').stores).toEqual(['upper'])
  })
})

describe('suppress until the window closes', () => {
  test('U1: waits for the longest grace above, also behind other tables', () => {
    const builder = named()
    const windows = builder.stream(input).groupByKey().windowedBy(minute).count('n')
    windows.filter(() => true).suppress('held', { until: 'window-closes' })
    expect(nodeOf(builder.build(), 'suppress')).toMatchObject({
      durationMs: 5_000,
      whenFull: 'shut-down',
    })
  })
})
