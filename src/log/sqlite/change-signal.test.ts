import { systemRandom as random } from '#system'
import { VirtualClock } from '#testing'
import { expect, test } from 'bun:test'

import { ChangeSignal } from './change-signal.ts'

test('who waits is woken by a look that fails, to meet the error itself; later waits go on', () => {
  const clock = new VirtualClock()
  let looks = 0
  let version = 7
  const look = (): number => {
    looks += 1
    if (looks === 2) throw new Error('disk I/O error')
    return version
  }
  const signal = new ChangeSignal(look, clock, random)
  let woken = 0
  const wake = (): void => {
    woken += 1
  }
  signal.wait(7, wake)
  clock.advance(100)
  expect({ looks, woken }).toEqual({ looks: 2, woken: 1 })
  signal.wait(7, wake)
  clock.advance(100)
  expect(woken).toBe(1)
  version = 8
  clock.advance(100)
  expect(woken).toBe(2)
  signal.close()
})
