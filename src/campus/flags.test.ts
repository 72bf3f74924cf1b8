/** Flags are checked whole before anything starts, and a wrong one says how to mend it. */
import { describe, expect, test } from 'bun:test'
import { FlagError, HELP, readFlags } from './flags.ts'

describe('flags', () => {
  test('without any, the defaults', () => {
    expect(readFlags([])).toEqual({
      port: 8000,
      host: '127.0.0.1',
      log: 'sqlite:data/campus.db',
      partitions: 4,
      workers: 1,
      role: 'both',
      standbys: 0,
      only: ['inventory', 'analytics', 'notifications'],
      demo: false,
      help: false,
      commitIntervalMs: 100,
      maintenanceMs: undefined,
      lagMax: 200_000,
    })
  })

  test('each is read', () => {
    const flags = readFlags([
      '--port=0',
      '--only',
      'inventory, analytics',
      '--workers',
      '2',
      '--demo',
      '--commit-ms',
      '20',
    ])
    expect(flags).toMatchObject({
      port: 0,
      only: ['inventory', 'analytics'],
      workers: 2,
      demo: true,
      commitIntervalMs: 20,
    })
  })

  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [['--prot', '1'], /--prot/],
    [['--port', 'x'], /--port must be a whole number from 0 to 65535, not "x"/],
    [['--port', '70000'], /--port/],
    [['--port', '-1'], /--port/],
    [['--partitions', '0'], /--partitions must be a whole number from 1/],
    [['--workers', '1.5'], /--workers/],
    [['--only', 'inventory,analitics'], /--only knows .*, not "analitics"/],
    [['extra'], /extra/],
    [['--port'], /--port/],
  ]
  test.each(wrong)('%p is refused', (args, message) => {
    expect(() => readFlags(args)).toThrow(FlagError)
    expect(() => readFlags(args)).toThrow(message)
  })

  test('the help names every flag', () => {
    for (const flag of ['port', 'log', 'partitions', 'workers', 'only', 'demo', 'help'])
      expect(HELP).toContain(`--${flag}`)
  })
})
