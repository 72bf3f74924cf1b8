import { describe, expect, test } from 'bun:test'
import { isGenerated, legalName, NameMachine, PREFIX } from './names.ts'

describe('semantics 1.1: one counter', () => {
  test('a name is a prefix and ten digits', () => {
    const names = new NameMachine()
    expect(names.node(PREFIX.filter, undefined)).toBe('KSTREAM-FILTER-0000000000')
    expect(names.store(PREFIX.aggregate, undefined)).toBe(
      'KSTREAM-AGGREGATE-STATE-STORE-0000000001',
    )
  })

  test('naming a node uses up its number, naming a store does not', () => {
    const names = new NameMachine()
    expect(names.node(PREFIX.map, 'mine')).toBe('mine')
    expect(names.store(PREFIX.map, 'kept')).toBe('kept')
    expect(names.draw(PREFIX.sink)).toBe('KSTREAM-SINK-0000000001')
  })
})

describe('NAME_INVALID', () => {
  const refused = expect.objectContaining({ code: 'NAME_INVALID' })

  test.each(['', '.', '..', 'a b', 'ä', 'a/b', 'a:b', 'x'.repeat(250)])('%j', (name) => {
    expect(() => legalName(name)).toThrow(refused)
  })
  test.each(['a', '...', 'a.b_c-D9', 'x'.repeat(249)])('%j is legal', (name) => {
    expect(legalName(name)).toBe(name)
  })
})

test('1.7: what counts as a generated base', () => {
  expect(isGenerated('KSTREAM-AGGREGATE-STATE-STORE-0000000002')).toBe(true)
  expect(isGenerated('KSTREAM-0123456789')).toBe(true)
  expect(isGenerated('KTABLE-SOURCE-0000000002')).toBe(false)
  expect(isGenerated('KSTREAM-FILTER-000000002')).toBe(false)
  expect(isGenerated('my-KSTREAM-FILTER-0000000002')).toBe(false)
})
