import { expect, test } from 'bun:test'
import { UndoableNumber, UndoLog } from './undo-log.ts'

test('rollback brings back what held at the savepoint, however often it changed', () => {
  const log = new UndoLog()
  const number = new UndoableNumber(log, 1)
  number.value = 2
  log.savepoint()
  number.value = 3
  number.value = 4
  log.rollback()
  expect(number.value).toBe(2)
})

test('a rollback is a savepoint: what comes after it can be undone as well', () => {
  const log = new UndoLog()
  const number = new UndoableNumber(log, 1)
  log.savepoint()
  number.value = 2
  log.rollback()
  number.value = 3
  log.rollback()
  expect(number.value).toBe(1)
})

test('what a record did not touch is not noted', () => {
  const log = new UndoLog()
  const number = new UndoableNumber(log, 1)
  log.savepoint()
  number.value = 2
  log.savepoint()
  log.rollback()
  expect(number.value).toBe(2)
})

test('changes are undone newest first', () => {
  const log = new UndoLog()
  const order: string[] = []
  log.savepoint()
  log.note({ undo: () => void order.push('first') })
  log.note({ undo: () => void order.push('second') })
  log.rollback()
  expect(order).toEqual(['second', 'first'])
})
