import { describe, expect, test } from 'bun:test'
import { ByteWriter } from '#system'
import { bigint64, bytes, double, long, nullable, string } from './primitive-serdes.ts'
import type { Serde } from './serde.ts'
import { hex, unhex, vectors } from './test-helper/bytes.ts'

interface Primitives {
  readonly encode: readonly {
    readonly type: string
    readonly value: string
    readonly hex: string
  }[]
}
const { encode } = await vectors<Primitives>('primitives')
const cases = (type: string): readonly (readonly [value: string, bytes: string])[] =>
  encode.filter((row) => row.type === type).map((row) => [row.value, row.hex])

/** All four ways must agree; `write` and `read` in the middle of other bytes. */
function expectBytes<T>(serde: Serde<T>, value: T, expected: string): void {
  expect(hex(serde.encode(value))).toBe(expected)
  expect(serde.decode(unhex(expected))).toEqual(value)
  const target = new ByteWriter(1)
  target.uint8(0xaa)
  serde.write(value, target)
  target.uint8(0xbb)
  expect(hex(target.copy())).toBe(`aa${expected}bb`)
  expect(serde.read(target.buffer, 1, target.length - 1)).toEqual(value)
}
const refused = (run: () => unknown): void =>
  expect(run).toThrow(expect.objectContaining({ code: 'SERDE_INVALID' }))

describe('the bytes are those of Kafka’s serdes', () => {
  test.each(cases('string'))('string %j', (value, expected) => {
    expectBytes(string(), value, expected)
  })
  test.each(cases('long').filter(([value]) => Number.isSafeInteger(Number(value))))(
    'long %s',
    (value, expected) => {
      expectBytes(long(), Number(value), expected)
    },
  )
  test.each(cases('long'))('bigint64 %s', (value, expected) => {
    expectBytes(bigint64(), BigInt(value), expected)
  })
  test.each(cases('double'))('double %s', (value, expected) => {
    expectBytes(double(), Number(value), expected)
  })
  test('bytes, as they are', () => {
    expectBytes(bytes(), unhex('00ff10'), '00ff10')
    expectBytes(bytes(), unhex(''), '')
  })
})

test('bytes that were read do not change with the batch they came from', () => {
  const batch = Buffer.from('abc')
  const read = bytes().read(batch, 0, 3)
  batch.fill(0)
  expect(hex(read)).toBe('616263')
})

test('a long beyond 2^53 − 1 is refused both ways', () => {
  refused(() => long().encode(2 ** 53))
  refused(() => long().encode(0.5))
  refused(() => long().encode(Number.NaN))
  refused(() => long().decode(unhex('0020000000000000')))
  refused(() => long().decode(unhex('8000000000000000')))
  expect(long().decode(unhex('001fffffffffffff'))).toBe(2 ** 53 - 1)
  expect(long().decode(unhex('ffe0000000000001'))).toBe(-(2 ** 53 - 1))
})

test('a bigint64 beyond 64 bits is refused', () => {
  refused(() => bigint64().encode(2n ** 63n))
  refused(() => bigint64().encode(-(2n ** 63n) - 1n))
})

test('numbers of another length are refused', () => {
  for (const serde of [long(), bigint64(), double()]) {
    refused(() => serde.decode(unhex('00')))
    refused(() => serde.decode(unhex('000000000000000000')))
  }
})

test('what is no string is refused, not written as something else', () => {
  const untyped: Serde<unknown> = string()
  refused(() => untyped.encode(1))
  refused(() => untyped.encode(undefined))
})

test('nullable writes the same bytes: null never reaches a serde', () => {
  expect(hex(nullable(long()).encode(1))).toBe('0000000000000001')
})

test('a serde that encodes inside its write does not disturb the one around it', () => {
  const inner = string()
  const outer: Serde<unknown> = Object.create(inner, {
    write: {
      value: (value: string, target: ByteWriter) => {
        target.utf8(value)
        target.bytes(inner.encode('inside'))
      },
    },
  })
  expect(hex(outer.encode('out'))).toBe(hex(new TextEncoder().encode('outinside')))
})

describe('interned strings', () => {
  test('equal bytes give equal text, whatever came before', () => {
    const serde = string()
    // 20,000 short texts share 1,024 slots: every slot changes hands many times.
    for (let round = 0; round < 2; round++) {
      for (let n = 0; n < 10_000; n++) {
        const text = `item-${(n * 7919) % 10_000}`
        expect(serde.decode(new TextEncoder().encode(text)) === text).toBe(true)
      }
    }
  })

  test('a short text is written as UTF-8 wherever it leaves ASCII, behind what was written before', () => {
    for (const text of [
      '',
      'plain',
      'é',
      'caf\u00e9',
      'a€b',
      '日本',
      'x'.repeat(16),
      'x'.repeat(17),
    ]) {
      const target = new ByteWriter(1)
      target.uint8(0x21)
      string().write(text, target)
      target.uint8(0x21)
      expect(hex(target.copy())).toBe(hex(new TextEncoder().encode(`!${text}!`)))
    }
  })

  test('bytes beyond ASCII are decoded as UTF-8, also between texts of the same length', () => {
    const serde = string()
    for (const text of ['ab', 'é', 'ab', '\u0000\u0000', 'a', '日', '€', 'x'.repeat(33)]) {
      expect(serde.decode(new TextEncoder().encode(text))).toBe(text)
    }
  })
})
