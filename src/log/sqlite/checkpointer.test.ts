import { systemClock as clock, systemRandom as random } from '#system'
import { afterEach, beforeEach, expect, mock, spyOn, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { openSqliteLog } from '../sqlite-log.ts'
import { Checkpointer } from './checkpointer.ts'

const ENOUGH_BYTES = 5_000_000

let folder: string
let started: Worker[]
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-checkpoints-'))
  started = []
  const OriginalWorker = globalThis.Worker
  spyOn(globalThis, 'Worker').mockImplementation(((url: string) => {
    const worker = new OriginalWorker(url)
    started.push(worker)
    return worker
  }) as never)
})
afterEach(() => {
  mock.restore()
  rmSync(folder, { recursive: true })
})

/** A checkpointer whose thread has ended with an error, because there is no such file. */
async function failed(path: string): Promise<Checkpointer> {
  const checkpointer = new Checkpointer(path)
  checkpointer.wrote(ENOUGH_BYTES)
  await new Promise((resolve) => started[0]?.addEventListener('close', resolve))
  return checkpointer
}

test('a checkpoint thread that failed is replaced when the next checkpoint is due', async () => {
  const path = join(folder, 'later', 'campus.db')
  const checkpointer = await failed(path)
  mkdirSync(join(folder, 'later'))
  const log = await openSqliteLog(path, { clock, random, durability: 'process' })
  await log.createTopics([{ topic: 'orders', partitions: 1, config: {} }])
  checkpointer.wrote(ENOUGH_BYTES)
  expect(started.length).toBe(2)
  await new Promise((resolve) => started[1]?.addEventListener('message', resolve))
  await checkpointer.close()
  await log.close()
})

test('closing waits for no checkpoint thread that has failed', async () => {
  const checkpointer = await failed(join(folder, 'none', 'campus.db'))
  expect(await checkpointer.close()).toBeUndefined()
})
