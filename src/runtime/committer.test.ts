import { expect, test } from 'bun:test'
import { createMemoryLog } from '#log/memory'
import type { StateStore } from '#state'
import { MemoryBackend } from '#state/memory'
import { bytes, store as declared, StreamsBuilder, topic, type StoreSpec } from '#topology'
import { Committer, type CommittingTask, type Sealed } from './committer.ts'
import { OpenStore } from './open-store.ts'
import { machineOf } from './streams-options.ts'
import { gate } from './test-helpers/faulty-log.ts'

const NAMES = ['one', 'two', 'three']
const CHANGES = [{ key: Buffer.from('k'), value: Buffer.from('v') }]

function specs(): readonly StoreSpec[] {
  const stores = NAMES.map((name) => {
    return declared(name, { key: bytes(), value: bytes(), logged: false, backend: 'memory' })
  })
  const builder = new StreamsBuilder('app')
  builder
    .stream(topic('in', { key: bytes(), value: bytes() }))
    .processValues('p', Object.fromEntries(stores.map((each) => [each.name, each])), () => {})
  return builder.build().subTopologies[0]?.stores ?? []
}

/** Stores whose applies end as `end` says, in one commit of one task. */
async function committing(end: (name: string) => Promise<void>) {
  const backend = new MemoryBackend()
  const begun: string[] = []
  const owner = { logId: 'l', applicationId: 'app', taskId: '0_0' }
  const batches = { restoreBatchRows: 1, restoreSliceRows: 1 }
  const stores = new Map<string, OpenStore>()
  for (const spec of specs()) {
    const location = { applicationId: 'app', taskId: '0_0', storeName: spec.name }
    const { store } = await backend.open(location)
    const apply: StateStore['apply'] = async (changes, header) => {
      begun.push(spec.name)
      await end(spec.name)
      await store.apply(changes, header)
    }
    const slow = new Proxy(store, {
      get: (target, name) =>
        name === 'apply' ? apply : (Reflect.get(target, name) as () => void).bind(target),
    })
    stores.set(spec.name, new OpenStore({ ...owner, ...batches }, spec, slow, undefined))
  }
  let released = 0
  const task = { release: () => (released += 1) } as unknown as CommittingTask['task']
  const sealed: Sealed = {
    commit: { appends: [], groupId: 'app', member: undefined, offsets: [] },
    parts: [
      {
        task: { task, stores, applied: () => {} },
        appendsFrom: 0,
        sealed: {
          taskId: '0_0',
          appends: [],
          offsets: [],
          inputPositions: {},
          stores: [...stores].map(([storeName, { store }]) => {
            return { storeName, store, changes: CHANGES, changelogAppends: [] }
          }),
        },
      },
    ],
  }
  const log = createMemoryLog()
  const committer = new Committer(log, 'app', 'exactly-once', machineOf({}))
  const ended = committer.run(await log.writer({ transactionalId: 'app' }), sealed)
  return { begun, ended, released: () => released }
}

test('no store waits for another, and the layers are released when all have applied (R4)', async () => {
  const slow = gate()
  const { begun, ended, released } = await committing((name) => {
    return name === 'one' ? slow.opened : Promise.resolve()
  })
  for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate)
  expect(begun).toEqual(NAMES)
  expect(released()).toBe(0)
  slow.open()
  expect(await ended).toEqual({ kind: 'committed' })
  expect(released()).toBe(1)
})

test('a store that fails to apply fails the commit, once the others have ended (R5)', async () => {
  const slow = gate()
  const broken = new Error('no space')
  const { ended, released } = await committing(async (name) => {
    if (name === 'two') throw broken
    if (name === 'three') await slow.opened
  })
  let isOver = false
  void ended.then(() => (isOver = true))
  for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate)
  expect(isOver).toBe(false)
  slow.open()
  expect(await ended).toEqual({ kind: 'failed', outcome: 'apply-failed', cause: broken })
  expect(released()).toBe(0)
})
