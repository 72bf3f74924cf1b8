/** The simulated broker, caught half-way: what readers and takers of tasks see of a transaction at each of its steps. */
import { expect, test } from 'bun:test'
import { RecordBatchWriter, type Append, type MemberIdentity } from '#log'
import { Broker } from './broker.ts'
import { Scheduler } from './scheduler.ts'
import { SeededRandom } from './seeded-random.ts'
import { SimulatedProcess } from './simulated-process.ts'

const PLACE = { topic: 't', partition: 0 }
const OFFSET = { ...PLACE, offset: 7, metadata: '' }
const NOBODY: MemberIdentity | undefined = undefined

function append(text: string): Append {
  const writer = new RecordBatchWriter()
  writer.add(0, null, new TextEncoder().encode(text), [])
  return { ...PLACE, bytes: writer.finish(), count: 1 }
}

async function opened(): Promise<{
  readonly broker: Broker
  readonly scheduler: Scheduler
  readonly counted: string[]
}> {
  const scheduler = new Scheduler()
  const random = new SeededRandom(1)
  const { clock } = new SimulatedProcess('broker', scheduler, random, 0)
  const counted: string[] = []
  const broker = new Broker({
    scheduler,
    random,
    clock,
    isOneStep: false,
    transactionTimeoutMs: 1_000,
    onCommitted: ({ offsets }) => counted.push(`committed ${offsets.length}`),
    count: (what) => counted.push(what),
  })
  broker.createTopics([{ topic: 't', partitions: 1, config: {} }])
  return { broker, scheduler, counted }
}

const sealed = { appends: [], groupId: 'g', member: NOBODY, offsets: [OFFSET] }

test('an open transaction holds back committed readers and pending offsets, until its markers have come', async () => {
  const { broker, scheduler, counted } = await opened()
  const epoch = await broker.initWriter('w')
  await broker.produce('w', epoch, [append('a')])
  await broker.addOffsets('w', epoch, sealed)
  const partition = broker.partition(PLACE)
  expect([partition.endOffset, partition.lastStableOffset]).toEqual([1, 0])
  const stable: number[] = []
  void broker.committedOffsets('g', [PLACE]).then((found) => stable.push(found.size))
  broker.end('w', epoch, 'committed')
  // Decided, which is what counts; and nobody who reads committed knows yet.
  expect(counted).toEqual(['committed 1'])
  expect(partition.lastStableOffset).toBe(0)
  expect(stable).toEqual([])
  while (scheduler.step());
  expect(partition.read(0, 'read-committed', 1_000)).toMatchObject({ position: 2 })
  expect(partition.read(0, 'read-committed', 1_000).entries).toHaveLength(1)
  expect(stable).toEqual([1])
  expect(broker.hasOpenTransactions).toBe(false)
})

test('a new writer of the id ends what the old one left, which is refused from then on', async () => {
  const { broker, scheduler, counted } = await opened()
  const epoch = await broker.initWriter('w')
  await broker.produce('w', epoch, [append('a')])
  const next = broker.initWriter('w')
  while (scheduler.step());
  expect(await next).toBe(epoch + 1)
  expect(broker.partition(PLACE).read(0, 'read-committed', 1_000).entries).toEqual([])
  expect(() => broker.end('w', epoch, 'committed')).toThrow('a newer writer')
  expect(counted).toEqual(['writer refused'])
})

test('a transaction that nobody ends is aborted when its time is up', async () => {
  const { broker, scheduler, counted } = await opened()
  const epoch = await broker.initWriter('w')
  await broker.produce('w', epoch, [append('a')])
  while (scheduler.step());
  expect(counted).toEqual(['transaction timeout'])
  expect(broker.partition(PLACE).lastStableOffset).toBe(broker.partition(PLACE).endOffset)
})
