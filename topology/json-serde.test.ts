import { describe, expect, test } from 'bun:test'
import type { StandardSchemaV1 } from '@standard-schema/spec'
import * as v from 'valibot'
import { json } from './json-serde.ts'
import { hex } from './test-helper/bytes.ts'

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
const Order = v.object({
  item: v.string('must be text'),
  lines: v.array(v.object({ qty: v.number() })),
})

function asynchronous(validate: (value: unknown) => unknown): StandardSchemaV1<string, string> {
  const standard: unknown = { version: 1, vendor: 'test', validate }
  return { '~standard': standard as StandardSchemaV1.Props<string, string> }
}

describe('with a schema', () => {
  const serde = json(Order)

  test('what fits is given back', () => {
    const order = { item: 'bürger', lines: [{ qty: 1 }] }
    expect(hex(serde.encode(order))).toBe(hex(utf8(JSON.stringify(order))))
    expect(serde.decode(serde.encode(order))).toEqual(order)
  })

  test('what does not fit is refused, naming the field', () => {
    const wrong = utf8('{"item":1,"lines":[{"qty":"2"}]}')
    expect(() => serde.decode(wrong)).toThrow('item: must be text; lines.0.qty: ')
    const invalid = expect.objectContaining({ code: 'SERDE_INVALID' })
    expect(() => serde.decode(wrong)).toThrow(invalid)
  })

  test('the trusted one checks nothing and writes the same bytes', () => {
    const wrong = { item: 1 }
    expect(serde.trusted.decode(utf8('{"item":1}'))).toEqual(wrong as never)
    const order = { item: 'a', lines: [] }
    expect(serde.trusted.encode(order)).toEqual(serde.encode(order))
    expect(serde.trusted.trusted).toBe(serde.trusted)
  })
})

test('what is not JSON is refused', () => {
  const invalid = expect.objectContaining({ code: 'SERDE_INVALID' })
  expect(() => json().decode(utf8('{'))).toThrow(invalid)
  expect(() => json().decode(utf8(''))).toThrow(invalid)
  expect(() => json().encode(undefined)).toThrow(invalid)
  expect(() => json().encode(() => 1)).toThrow(invalid)
  expect(() => json().encode(1n)).toThrow(invalid)
})

describe('SCHEMA_ASYNC: a schema that validates asynchronously is refused', () => {
  const refused = expect.objectContaining({ code: 'SCHEMA_ASYNC' })

  test('where it is declared, if it always does', () => {
    expect(() =>
      json(
        v.pipeAsync(
          v.string(),
          v.checkAsync(async () => true),
        ),
      ),
    ).toThrow(refused)
    expect(() => json(asynchronous(() => Promise.reject(new TypeError('late'))))).toThrow(refused)
  })

  test('at the first such value, if it sometimes does', () => {
    const serde = json(
      asynchronous((value) => (value === 'slow' ? Promise.resolve({ value }) : { value })),
    )
    expect(serde.decode(utf8('"fast"'))).toBe('fast')
    expect(() => serde.decode(utf8('"slow"'))).toThrow(refused)
  })

  test('a schema that cannot take just anything is asked again later', () => {
    const serde = json(
      asynchronous((value) => {
        if (value === undefined) throw new TypeError('no value')
        return { value }
      }),
    )
    expect(serde.decode(utf8('"text"'))).toBe('text')
  })
})
