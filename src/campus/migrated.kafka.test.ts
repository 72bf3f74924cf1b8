/** Campus from a file to a real broker and back, in the middle of its minutes, as one history. */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { kafkaForTests, startCluster } from '#kafka-for-tests'
import { MovingCampus } from './test-helper/moving-campus.ts'

const ITEMS = ['burger', 'pizza', 'soup', 'falafel']
const kafka = await kafkaForTests()
setDefaultTimeout(600_000)

test.skipIf(kafka === undefined)(
  'every invariant holds over the whole, windows are exact, no order is decided twice',
  async () => {
    // Of its own: campus's topics have the names that they have.
    const broker = await startCluster()
    const campus = new MovingCampus('sqlite:data/campus.db')
    try {
      await campus.start()
      const first = await campus.order('first', ITEMS, 25)
      expect(await campus.stop()).toBe(0)

      await campus.migrate(`kafka://${broker.bootstrap}`)
      await campus.start()
      expect(await campus.again(first)).toEqual(first.map(({ id }) => id))
      const second = [...first, ...(await campus.order('second', ITEMS, 25))]
      expect(await campus.caughtUp()).toBe(true)
      expect(await campus.minutesClosed(second.length)).toBe(true)
      // One more minute is begun there, and ends on the file.
      const begun = [...second, ...(await campus.order('begun', ITEMS, 5))]
      expect(await campus.stop()).toBe(0)
      const onBroker = await campus.check(begun, false)
      expect(onBroker.violations).toEqual([])
      expect(onBroker.orders).toBe(begun.length)

      await campus.migrate('sqlite:data/back.db')
      // A process on brokers takes a number of its own where another log has had the first.
      campus.keepRequests('ingress-1.db', 'back-ingress.db')
      await campus.start()
      expect(await campus.again(begun)).toEqual(begun.map(({ id }) => id))
      const all = [...begun, ...(await campus.order('third', ITEMS, 25))]
      expect(await campus.caughtUp()).toBe(true)
      expect(await campus.minutesClosed(all.length)).toBe(true)
      expect(await campus.stop()).toBe(0)
      const report = await campus.check(all, true)
      expect(report.violations).toEqual([])
      expect(report.orders).toBe(all.length)
      expect(report.repeats).toBeGreaterThan(first.length + begun.length)
      expect(campus.complaints).not.toContain('OFFSETS_LOST')
    } finally {
      await campus.remove()
      await broker.down()
    }
  },
)
