import { expect, test } from 'bun:test'
import { FailureWindow } from './failure-window.ts'

test('it is what a list of the last 100 says, also after being saved and restored (R15)', () => {
  let window = new FailureWindow()
  const list: boolean[] = []
  let refused = 0
  for (let n = 0; n < 5_000; n++) {
    // Stretches of failures and of successes, of lengths that go round the window in all ways.
    const fails = (n * n) % 97 < 45 + Math.floor(n / 100) && n % 7 !== 0
    const last99 = list.slice(-99)
    const isOneTooMany = last99.filter(Boolean).length + 1 > 50
    if (!fails) {
      window.succeeded()
      list.push(false)
    } else if (window.failed()) {
      expect(isOneTooMany).toBe(false)
      list.push(true)
    } else {
      expect(isOneTooMany).toBe(true)
      refused += 1
      // Refused is as if it had not been taken.
      window.succeeded()
      list.push(false)
    }
    if (n % 13 === 0) {
      const saved = window.saved()
      expect(saved.every(Number.isSafeInteger)).toBe(true)
      window = new FailureWindow()
      window.restore(...saved)
    }
  }
  expect(refused).toBeGreaterThan(0)
  expect(list.filter(Boolean).length).toBeGreaterThan(0)
})

test('fewer than 51 failures never poison, however few records there were', () => {
  const window = new FailureWindow()
  for (let n = 0; n < 50; n++) expect(window.failed()).toBe(true)
  expect(window.failed()).toBe(false)
})
