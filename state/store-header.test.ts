import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { decodeStoreHeader, encodeStoreHeader } from './store-header.ts'
import type { StoreHeader } from './store.ts'

const EXAMPLE =
  '01 00000001 4c 00000001 61 00000001 73 00000003 305f31 00000000000003e8 ' +
  '00000001 00000001 63 00000001 54 00000001 00000002 0000000000000005 ' +
  '00000001 00000003 692d31 0000000000000009'

const example: StoreHeader = {
  format: 1,
  logId: 'L',
  applicationId: 'a',
  storeName: 's',
  taskId: '0_1',
  changelogs: [{ topic: 'c', topicId: 'T', partition: 1, leaderEpoch: 2, position: 5 }],
  appliedInputs: { 'i-1': 9 },
  appliedAtMs: 1_000,
}

test('R6: the worked example of the format, both ways', () => {
  const bytes = Uint8Array.fromHex(EXAMPLE.replaceAll(' ', ''))
  expect(Uint8Array.from(encodeStoreHeader(example))).toEqual(bytes)
  expect(decodeStoreHeader(bytes, 'example')).toEqual(example)
})

test('every header comes back as it was', () => {
  const offset = fc.maxSafeNat()
  const changelog = fc.record({
    topic: fc.string({ unit: 'grapheme' }),
    topicId: fc.string(),
    partition: fc.nat(),
    leaderEpoch: fc.integer({ min: -1 }),
    position: offset,
  })
  const header: fc.Arbitrary<StoreHeader> = fc.record({
    format: fc.constant(1),
    logId: fc.string(),
    applicationId: fc.string(),
    storeName: fc.string(),
    taskId: fc.string(),
    changelogs: fc.array(changelog),
    appliedInputs: fc.dictionary(fc.string(), offset, { noNullPrototype: true }),
    appliedAtMs: offset,
  })
  fc.assert(
    fc.property(header, (given) => {
      expect(decodeStoreHeader(encodeStoreHeader(given), 'it')).toEqual(given)
    }),
  )
})

test('a newer format is refused by its first byte, with a remedy', () => {
  const refused = { code: 'STORE_REFUSED', message: expect.stringMatching(/format 2.*upgrade/) }
  expect(() => decodeStoreHeader(new Uint8Array([2]), 'it')).toThrow(
    expect.objectContaining(refused),
  )
})

test('bytes that end too early or too late are refused, never half read', () => {
  const bytes = encodeStoreHeader(example)
  const refused = expect.objectContaining({ code: 'STORE_REFUSED' })
  for (let end = 0; end < bytes.length; end += 1) {
    expect(() => decodeStoreHeader(bytes.slice(0, end), 'it')).toThrow(refused)
  }
  expect(() => decodeStoreHeader(new Uint8Array([...bytes, 0]), 'it')).toThrow(refused)
})
