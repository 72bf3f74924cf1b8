/** Campus as a person moves it from one file to another: the command line between two runs. */
import { expect, test } from 'bun:test'
import { MovingCampus } from './test-helper/moving-campus.ts'

const ITEMS = ['burger', 'pizza', 'soup', 'falafel']

test('stores are rebuilt, old orders keep their verdicts, and new ones follow', async () => {
  const campus = new MovingCampus('sqlite:data/campus.db')
  try {
    await campus.start()
    const old = await campus.order('old', ITEMS, 20)
    // What is not decided yet is decided there.
    expect(await campus.stop()).toBe(0)
    const said = await campus.migrate('sqlite:data/second.db')
    expect(said).toMatch(/offsets of 3 groups migrated/)
    campus.keepRequests('ingress.db', 'second-ingress.db')
    await campus.start()
    expect(await campus.again(old)).toEqual(old.map(({ id }) => id))
    const all = [...old, ...(await campus.order('new', ITEMS, 20))]
    expect(await campus.caughtUp()).toBe(true)
    expect(await campus.stop()).toBe(0)
    const report = await campus.check(all, false)
    expect(report.violations).toEqual([])
    expect(report.orders).toBe(all.length)
    expect(report.reserved + report.failed).toBe(all.length)
    expect(campus.complaints).not.toContain('OFFSETS_LOST')
    // What was there is still there, and was not touched.
    campus.log = 'sqlite:data/campus.db'
    expect((await campus.check(old, false)).orders).toBe(old.length)
  } finally {
    await campus.remove()
  }
}, 120_000)
