/** A failpoint ends the process at its name, the nth time, and nowhere else. */
import { describe, expect, test } from 'bun:test'
import { killAtFailpoint } from './failpoints.ts'

function killsAt(setting: string, passed: readonly string[]): readonly number[] {
  const kills: number[] = []
  let at = 0
  const failpoint = killAtFailpoint(setting, () => kills.push(at))
  for (const name of passed) {
    at += 1
    failpoint(name)
  }
  return kills
}

describe('killAtFailpoint', () => {
  test('kills once, the nth time its name is passed', () => {
    const passed = ['log:after-commit', 'log:before-commit', 'log:after-commit', 'log:after-commit']
    expect(killsAt('log:after-commit:2', passed)).toEqual([3])
  })

  test('without a number it kills the first time, also where the name has parts', () => {
    expect(killsAt('log:after-commit', ['log', 'log:after-commit'])).toEqual([2])
    expect(killsAt('restore', ['restore', 'restore'])).toEqual([1])
  })
})
