import { expect, test } from 'bun:test'
import { readBootId } from './boot-id.ts'

test('R8: the boot id is the same at every call, and unknown where the system has none', () => {
  if (process.platform === 'linux') expect(readBootId()).toMatch(/^[0-9a-f-]{36}$/)
  expect(readBootId()).toBe(readBootId())
  expect(readBootId('/nowhere/boot_id')).toBeUndefined()
})
