/** Paths for log files of a test, removed after it. */
import { afterAll } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A function that gives a path where nothing is yet, in a folder that goes when the tests of the file are over. */
export function logFiles(): (name?: string) => string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-log-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  let count = 0
  return (name = 'log') => join(folder, `${name}-${(count += 1)}.db`)
}
