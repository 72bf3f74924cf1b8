import { expect, test } from 'bun:test'
import { Buffer } from 'node:buffer'
import { ByteWriter } from '#system'
import { RowFormat } from './row-format.ts'
import { StateError } from './store.ts'
import type { Codec } from './task-store.ts'
import { text } from './test-helpers/task-stores.ts'

const refusing: Codec<string> = {
  ...text,
  write: () => {
    throw new TypeError('not today')
  },
  read: () => {
    throw new TypeError('not this')
  },
}

test('what cannot be encoded or decoded is STORE_SERDE and names the store, and the key if it can', () => {
  const badValues = new RowFormat('table', text, refusing, true)
  const badKeys = new RowFormat('table', refusing, text, true)
  const target = new ByteWriter(64)
  const refused = (what: string): StateError =>
    new StateError('STORE_SERDE', `store table: ${what}`)

  expect(() => badValues.writeValue('v', target, 'k')).toThrow(
    refused('the value of key "k" cannot be encoded: not today'),
  )
  expect(() => badValues.writeValue('v', target, 'k'.repeat(999))).toThrow(
    refused(`the value of key "${'k'.repeat(64)}" cannot be encoded: not today`),
  )
  expect(() => badKeys.writeKey('k', target)).toThrow(refused('a key cannot be encoded: not today'))
  expect(() => badValues.readRow(Buffer.alloc(9))).toThrow(
    refused('a value cannot be decoded: not this'),
  )
  expect(() => badKeys.readKey(Buffer.from('k'), 1)).toThrow(
    refused('a key cannot be decoded: not this'),
  )
})
