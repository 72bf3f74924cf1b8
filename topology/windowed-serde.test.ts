import { expect, test } from 'bun:test'
import { bytes, string } from './primitive-serdes.ts'
import { json } from './json-serde.ts'
import { hex, unhex, vectors } from './test-helper/bytes.ts'
import { windowed } from './windowed-serde.ts'

interface WindowKeys {
  readonly sink: readonly {
    readonly key: string
    readonly start: number
    readonly end: number
    readonly hex: string
  }[]
}
const { sink } = await vectors<WindowKeys>('window-keys')

test.each(sink)(
  'key and start, as in the reference: $key @ $start',
  ({ key, start, end, hex: expected }) => {
    const serde = windowed(string(), end - start)
    const value = { key, window: { startMs: start, endMs: end } }
    expect(hex(serde.encode(value))).toBe(expected)
    expect(serde.decode(unhex(expected))).toEqual(value)
  },
)

test('bytes too short for a start are refused', () => {
  const invalid = expect.objectContaining({ code: 'SERDE_INVALID' })
  expect(() => windowed(bytes(), 1).decode(unhex('00000000000000'))).toThrow(invalid)
})

test('the trusted one trusts its inner serde', () => {
  const serde = windowed(string(), 1)
  expect(serde.trusted).toBe(serde)
  expect(windowed(json(), 1).trusted.name).toBe('windowed(json, 1)')
})
