import { noFailpoint, systemClock as clock, systemRandom as random } from '#system'
import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { openSqliteLog } from '../sqlite-log.ts'
import { Checkpointer } from './checkpointer.ts'
import { WriteQueue } from './write-queue.ts'
import { WriteTurns } from './write-turns.ts'
import { WriterConnection } from './writer-connection.ts'

test('a fault behind a transaction does not stop the queue: later requests are answered', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-queue-'))
  const path = join(folder, 'campus.db')
  const log = await openSqliteLog(path, { clock, random, durability: 'process' })
  const shared = { clock, random, failpoint: noFailpoint }
  const connection = new WriterConnection({ path, durability: 'process', ...shared })
  const turns = new WriteTurns(path, shared)
  const checkpointer = new Checkpointer(path)
  let faults = 0
  const queue = new WriteQueue(connection, {
    ...shared,
    turns,
    checkpointer,
    changed() {
      faults += 1
      if (faults === 1) throw new Error('a listener that fails')
    },
  })
  const create = (topic: string): Promise<null> =>
    queue.ask('create-topics', [{ topic, partitions: 1, config: {} }])
  await create('first')
  await create('second')
  await queue.close()
  expect(faults).toBe(2)
  expect((await log.describeTopics()).map(({ topic }) => topic)).toEqual(['first', 'second'])
  turns.close()
  connection.close()
  await log.close()
  rmSync(folder, { recursive: true })
})
