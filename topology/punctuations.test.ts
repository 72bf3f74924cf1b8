import { describe, expect, test } from 'bun:test'
import type { ProcessorContext } from './processor.ts'
import { Punctuations, type Punctuator } from './punctuations.ts'
import { operator, sink, source } from './test-helper/nodes.ts'
import { Rig } from './test-helper/rig.ts'
import { TopologyError } from './topology.ts'
import { UndoLog } from './undo-log.ts'

function punctuations() {
  const undoLog = new UndoLog()
  const list = new Punctuations(undoLog, (punctuate, nowMs) => punctuate(nowMs))
  return { undoLog, list }
}

const noop: Punctuator = () => {}

describe('P2, the vectors of PunctuationQueueTest', () => {
  /** Time of the check, whether it fires, when it is due next. */
  const FROM_0 = [
    [0, 1, 100],
    [99, 0, 100],
    [100, 1, 200],
    [901, 1, 1000],
    [902, 0, 1000],
    [1000, 1, 1100],
  ] as const

  test('stream time: at most once a check, on the grid of 0', () => {
    const { list } = punctuations()
    list.schedule('n', 100, 'stream-time', noop, 0)
    for (const [nowMs, fired, nextMs] of FROM_0) {
      expect([nowMs, list.fireStreamTime(nowMs), list.nextStreamTimeMs]).toEqual([
        nowMs,
        fired,
        nextMs,
      ])
    }
  })

  test('wall clock: first due one interval from now, on that grid from then on (P1)', () => {
    const { list } = punctuations()
    list.schedule('n', 100, 'wall-clock', noop, 50)
    const fires = [149, 150, 249, 250, 1051].map((nowMs) => list.fireWallClock(nowMs).length)
    expect(fires).toEqual([0, 1, 0, 1, 1])
    expect(list.nextWallClockMs).toBe(1150)
  })
})

test('an interval below 1 ms is refused (P1)', () => {
  const { list } = punctuations()
  for (const everyMs of [0, -1, 0.5, Number.NaN]) {
    expect(() => list.schedule('n', everyMs, 'stream-time', noop, 0)).toThrow(TopologyError)
  }
})

test('the argument is the time now, not the tick (P3)', () => {
  const { list } = punctuations()
  const times: number[] = []
  list.schedule('n', 100, 'stream-time', (nowMs) => times.push(nowMs), 0)
  for (const nowMs of [7, 130, 999]) list.fireStreamTime(nowMs)
  expect(times).toEqual([7, 130, 999])
})

test('cancelling works from inside the callback (P4), and for ever', () => {
  const { list } = punctuations()
  let fired = 0
  const schedule = list.schedule(
    'n',
    10,
    'stream-time',
    () => {
      fired += 1
      if (fired === 2) schedule.cancel()
    },
    0,
  )
  for (const nowMs of [0, 10, 20, 30]) list.fireStreamTime(nowMs)
  expect(fired).toBe(2)
  expect(list.nextStreamTimeMs).toBe(Infinity)
})

test('the earliest due fires first, the first made among equals; made in a callback, it fires in the same check', () => {
  const { list } = punctuations()
  const order: string[] = []
  list.schedule('n', 100, 'wall-clock', () => void order.push('late'), 50)
  list.schedule('n', 100, 'wall-clock', () => void order.push('early'), 0)
  list.schedule('n', 100, 'wall-clock', () => void order.push('early too'), 0)
  list.fireWallClock(1_000)
  expect(order).toEqual(['early', 'early too', 'late'])
  list.schedule(
    'n',
    1,
    'stream-time',
    () => {
      order.push('outer')
      list.schedule('n', 1, 'stream-time', () => void order.push('inner'), 0)
    },
    0,
  )
  list.fireStreamTime(5)
  expect(order.slice(3)).toEqual(['outer', 'inner'])
})

test('each firing has a name by which the journal repeats it (R10)', () => {
  const { list } = punctuations()
  const times: unknown[] = []
  list.schedule('a', 100, 'wall-clock', (nowMs) => times.push(['a0', nowMs]), 0)
  list.schedule('b', 100, 'wall-clock', (nowMs) => times.push(['b0', nowMs]), 0)
  list.schedule('a', 100, 'wall-clock', (nowMs) => times.push(['a1', nowMs]), 0)
  const firings = list.fireWallClock(130)
  expect(firings.map(({ name }) => name)).toEqual(['a#0', 'b#0', 'a#1'])
  const fired = times.splice(0)
  const other = punctuations().list
  other.schedule('a', 100, 'wall-clock', (nowMs) => times.push(['a0', nowMs]), 9_999)
  other.schedule('b', 100, 'wall-clock', (nowMs) => times.push(['b0', nowMs]), 9_999)
  other.schedule('a', 100, 'wall-clock', (nowMs) => times.push(['a1', nowMs]), 9_999)
  for (const { name, timeMs } of firings) other.replay(name, timeMs)
  expect(times).toEqual(fired)
  expect(() => other.replay('gone#0', 1)).toThrow(TopologyError)
})

describe('undone with the record (R15)', () => {
  test('a schedule that it made, cancelled or fired', () => {
    const { list, undoLog } = punctuations()
    const kept = list.schedule('n', 10, 'stream-time', noop, 0)
    undoLog.savepoint()
    list.schedule('n', 7, 'stream-time', noop, 0)
    kept.cancel()
    undoLog.rollback()
    expect(list.fireStreamTime(3)).toBe(1)
    expect(list.nextStreamTimeMs).toBe(10)
    undoLog.savepoint()
    list.fireStreamTime(25)
    undoLog.rollback()
    expect(list.nextStreamTimeMs).toBe(10)
    expect(list.fireStreamTime(25)).toBe(1)
  })

  test('what comes next is known again', () => {
    const { list, undoLog } = punctuations()
    const first = list.schedule('n', 10, 'wall-clock', noop, 0)
    list.schedule('n', 30, 'wall-clock', noop, 0)
    undoLog.savepoint()
    first.cancel()
    expect(list.nextWallClockMs).toBe(30)
    undoLog.rollback()
    expect(list.nextWallClockMs).toBe(10)
  })

  test('names go on as if the record had never been', () => {
    const { list, undoLog } = punctuations()
    undoLog.savepoint()
    list.schedule('n', 10, 'wall-clock', noop, 0)
    undoLog.rollback()
    list.schedule('n', 10, 'wall-clock', noop, 0)
    expect(list.fireWallClock(10)).toEqual([{ name: 'n#0', timeMs: 10 }])
  })

  test('cancelled schedules do not pile up', () => {
    const { list, undoLog } = punctuations()
    for (let n = 0; n < 1_000; n += 1) {
      undoLog.savepoint()
      list.schedule('n', 10, 'wall-clock', noop, 0).cancel()
    }
    undoLog.savepoint()
    const last = list.schedule('n', 10, 'wall-clock', noop, 0)
    expect(last).toBeDefined()
    expect(list.size).toBeLessThan(5)
  })
})

describe('in a pipeline', () => {
  type Context = ProcessorContext<unknown, unknown>
  const wallClock = { nowMs: 0 }

  function scheduling(init: (context: Context) => void) {
    const node = operator('process', 'p', 'in', {
      keepsKey: false,
      supplier: () => ({ init, process() {} }),
    })
    return Rig.open([source('in'), node, sink('p')], [], { wallClock })
  }

  const tell = (context: Context, type: 'stream-time' | 'wall-clock') => (nowMs: number) => {
    const { topic, partition, offset } = context.metadata
    const value = `${topic}/${partition}/${offset}`
    context.forward({ key: 'tick', value, timestampMs: nowMs, headers: [] })
    expect(type === 'stream-time' ? context.streamTimeMs : context.wallClockMs).toBe(nowMs)
  }

  test('a punctuator has no record in hand (R4); stream time is checked after each record', async () => {
    const rig = await scheduling((context) => {
      context.schedule(10, 'stream-time', tell(context, 'stream-time'))
    })
    for (const at of [3, 5, 12, 8, 45]) rig.pipe('in', 'k', 'v', at, [['h', null]])
    expect(rig.outputs.map(({ headers }) => headers)).toEqual([[], [], []])
    expect(rig.take()).toEqual(['tick null/-1/-1@3', 'tick null/-1/-1@12', 'tick null/-1/-1@45'])
  })

  test('wall-clock punctuations fire without data, and are told for the journal', async () => {
    wallClock.nowMs = 1_000
    const rig = await scheduling((context) => {
      context.schedule(10, 'wall-clock', tell(context, 'wall-clock'))
    })
    expect(rig.pipeline.nextWallClockMs).toBe(1_010)
    wallClock.nowMs = 1_025
    expect(rig.pipeline.punctuateWallClock(1_025)).toEqual([{ name: 'p#0', timeMs: 1_025 }])
    expect(rig.take()).toEqual(['tick null/-1/-1@1025'])
    expect(rig.pipeline.nextWallClockMs).toBe(1_030)
  })

  test('after a restart stream time goes on from the grid: what had fired does not fire again', async () => {
    const rig = await scheduling((context) => {
      context.schedule(10, 'stream-time', tell(context, 'stream-time'))
    })
    rig.pipe('in', 'k', 'v', 13)
    rig.take()
    expect(rig.pipeline.nextDueStreamTimeMs).toBe(20)
    rig.restart()
    expect(rig.pipeline.nextDueStreamTimeMs).toBe(20)
    rig.pipe('in', 'k', 'v', 15)
    expect(rig.take()).toEqual([])
  })

  test('a processor that keeps keys has none to forward under in a punctuator', async () => {
    const node = operator('process', 'p', 'in', {
      keepsKey: true,
      supplier: () => ({
        init: (context: Context) => {
          context.schedule(10, 'stream-time', tell(context, 'stream-time'))
        },
        process() {},
      }),
    })
    const rig = await Rig.open([source('in'), node, sink('p')])
    expect(() => rig.pipe('in', 'k', 'v', 1)).toThrow(/keeps keys/)
  })
})
