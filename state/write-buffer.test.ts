import { expect, test } from 'bun:test'
import { Layers, WriteBuffer } from './write-buffer.ts'

function open() {
  const buffer = new WriteBuffer<string, string>(false)
  const layers = new Layers<string, string>(0)
  const put = (value: string): boolean => buffer.put(layers, 'k', 'k', { value, timestampMs: 1 })
  const read = (): string | null | undefined => layers.read('k')?.value
  const seal = () => buffer.seal().map(({ key, written }) => [key, written.value])
  return { buffer, put, read, seal }
}

test('what was read just before a rollback is new again, and in the next seal', () => {
  const { buffer, put, read, seal } = open()
  buffer.savepoint()
  put('undone')
  expect(read()).toBe('undone')
  buffer.rollback()
  expect(read()).toBeUndefined()
  expect(put('v')).toBe(true)
  expect(seal()).toEqual([['k', 'v']])
})

test('a put of what was read just before a seal is in the next seal, and not in that one', () => {
  const { buffer, put, read, seal } = open()
  put('v')
  expect(read()).toBe('v')
  const sealed = buffer.seal()
  expect(put('w')).toBe(true)
  expect(sealed.map(({ written }) => written.value)).toEqual(['v'])
  expect(read()).toBe('w')
  buffer.release()
  expect(seal()).toEqual([['k', 'w']])
})

test('a put of what was read last goes to it, and to no other', () => {
  const { buffer, put, read, seal } = open()
  const other = new Layers<string, string>(1)
  put('v')
  buffer.put(other, 'k', 'k', { value: 'of another window', timestampMs: 1 })
  expect(read()).toBe('v')
  expect(put('w')).toBe(false)
  expect(other.read('k')?.value).toBe('of another window')
  expect(seal()).toEqual([
    ['k', 'of another window'],
    ['k', 'w'],
  ])
})
