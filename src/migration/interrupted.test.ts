/** Commits that get no answer: done or not, the next attempt finds out and no record comes twice. */
import { expect, test } from 'bun:test'
import { ReplyLosingLog } from '#log'
import { createMemoryLog, type MemoryLog } from '#log/memory'
import {
  append,
  commit,
  create,
  hastyClock as clock,
  place,
  read,
  refusal,
  run,
} from './test-helper/logs.ts'

const PARTITIONS = 2
/** Topics are noted, then at least this many commits follow: three of records, the group's and the last word. */
const COMMITS = 6
const VALUE = 'v'.repeat(100_000)

/** A dozen megabytes, so that one commit does not hold them. */
async function filled(): Promise<MemoryLog> {
  const source = createMemoryLog()
  await create(source, 'orders', PARTITIONS)
  for (let n = 0; n < 60; n += 1) {
    for (let partition = 0; partition < PARTITIONS; partition += 1) {
      await append(source, place('orders', partition), [{ key: `${n}`, value: VALUE }])
    }
  }
  const offsets = [{ ...place('orders'), offset: 17, metadata: 'm' }]
  await commit(source, [], { groupId: 'g', offsets })
  return source
}

async function expectWhole(source: MemoryLog, target: MemoryLog): Promise<void> {
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    const at = place('orders', partition)
    const [before, after] = [await read(source, at), await read(target, at)]
    expect(after.map(({ offset, key }) => `${offset} ${key}`)).toEqual(
      before.map(({ offset, key }) => `${offset} ${key}`),
    )
  }
  const committed = await target.committedOffsets('g', [place('orders')])
  expect([...committed.values()]).toEqual([{ offset: 17, metadata: 'm' }])
}

const cases = (['request', 'reply'] as const).flatMap((loss) =>
  Array.from({ length: COMMITS }, (_, nth) => [loss, nth] as const),
)
test.each(cases)('the %s of commit %i is lost', async (loss, nth) => {
  const source = await filled()
  const inner = createMemoryLog()
  let commits = 0
  const target = new ReplyLosingLog(inner, () => (commits++ === nth ? loss : 'none'))
  expect(await run(source, target, { clock })).toMatchObject({ isRepeated: false })
  expect(target.lost[loss]).toBe(1)
  expect(commits).toBeGreaterThanOrEqual(COMMITS)
  await expectWhole(source, inner)
})

test('a target that never answers is given up; what it took stays for the next call', async () => {
  const source = await filled()
  const inner = createMemoryLog()
  let commits = 0
  const target = new ReplyLosingLog(inner, () => (commits++ < 2 ? 'none' : 'request'))
  expect(await refusal(run(source, target, { clock }))).toMatch(/^INTERRUPTED: /)
  expect(target.lost.request).toBe(5)
  await run(source, inner)
  await expectWhole(source, inner)
})
