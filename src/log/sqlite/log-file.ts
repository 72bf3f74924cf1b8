/**
 * Finds, creates or refuses the file of a log.
 *
 * Invariant: a file that is not ours is read, never opened by SQLite and never changed; a file of ours is whole from the
 * moment it has its name, because it is made beside it and linked into place.
 */
import { Database } from 'bun:sqlite'
import {
  accessSync,
  closeSync,
  constants,
  linkSync,
  mkdirSync,
  openSync,
  readSync,
  rmSync,
  statfsSync,
  statSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { Buffer } from 'node:buffer'

import type { Random } from '#system'

import { LogError } from '../log.ts'
import { APPLICATION_ID, FORMAT, TABLES } from './schema.ts'

const HEADER_BYTES = 100
const FORMAT_AT = 60
const APPLICATION_ID_AT = 68
const SQLITE_MAGIC = 'SQLite format 3\0'

/** Kernel numbers of file systems whose locks or shared memory do not reach other machines (statfs(2)). */
const NETWORK_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xfe534d42, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0x01021997, '9P'],
  [0x5346414f, 'AFS'],
  [0x73757245, 'Coda'],
  [0x00c36400, 'Ceph'],
  [0x0bd00bd0, 'Lustre'],
  [0x47504653, 'GPFS'],
])

/** The name of a network file system, or undefined for a local one. */
export function networkFileSystem(type: number): string | undefined {
  return NETWORK_FILE_SYSTEMS.get(type >>> 0)
}

/** Leaves a log file at `path`, or refuses with LOG_REFUSED in one line. */
export function prepareLogFile(
  path: string,
  { create, random }: { readonly create: boolean; readonly random: Random },
): void {
  const folder = dirname(path)
  if (create)
    attempt(path, 'its folder cannot be made', () => mkdirSync(folder, { recursive: true }))
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined && !create) {
    throw refused(path, 'it does not exist: check the path, or start the application that makes it')
  }
  if (found?.size === 0 && found.isFile()) {
    throw refused(path, 'it is an empty file: remove it, or choose another path')
  }
  if (found !== undefined && !found.isFile()) {
    throw refused(path, 'it is not a file: choose the path of a file')
  }
  const fileSystem = networkFileSystem(
    attempt(path, 'its folder cannot be read', () => statfsSync(folder)).type,
  )
  if (fileSystem !== undefined) {
    throw refused(path, `${fileSystem} does not lock as SQLite needs it: choose a local disk`)
  }
  if (found === undefined) createLogFile(path, random)
  checkHeader(path)
  attempt(path, 'it cannot be written', () => {
    accessSync(path, constants.R_OK | constants.W_OK)
    accessSync(folder, constants.W_OK)
  })
}

function checkHeader(path: string): void {
  const header = Buffer.alloc(HEADER_BYTES)
  attempt(path, 'it cannot be read', () => {
    const file = openSync(path, 'r')
    try {
      readSync(file, header, 0, HEADER_BYTES, 0)
    } finally {
      closeSync(file)
    }
  })
  if (
    header.latin1Slice(0, SQLITE_MAGIC.length) !== SQLITE_MAGIC ||
    header.readUInt32BE(APPLICATION_ID_AT) !== APPLICATION_ID
  ) {
    throw refused(path, 'it is not a Millrace log: choose another path')
  }
  const format = header.readUInt32BE(FORMAT_AT)
  if (format > FORMAT) {
    throw refused(path, `its format is ${format}, this version reads ${FORMAT}: upgrade Millrace`)
  }
}

function createLogFile(path: string, random: Random): void {
  const draft = `${path}-new-${random.uuid()}`
  try {
    attempt(path, 'it cannot be created', () => {
      const database = new Database(draft, { create: true, readwrite: true, strict: true })
      try {
        // The marks are written through a rollback journal, so they are in the file and not in a WAL beside it.
        database.run('PRAGMA synchronous = FULL')
        database.transaction(() => {
          database.run(`PRAGMA application_id = ${APPLICATION_ID}`)
          database.run(`PRAGMA user_version = ${FORMAT}`)
          database.run(TABLES)
          const meta = database.prepare('INSERT INTO meta (name, value) VALUES (?, ?)')
          meta.run('log_id', random.uuid())
          meta.run('catalog', 0)
        })()
        database.run('PRAGMA journal_mode = WAL')
      } finally {
        database.close(true)
      }
      placeDraft(draft, path)
    })
  } finally {
    for (const suffix of ['', '-journal', '-wal', '-shm']) rmSync(draft + suffix, { force: true })
  }
}

/** Gives the draft its name, unless another process was faster: then its file is as good. */
function placeDraft(draft: string, path: string): void {
  try {
    linkSync(draft, path)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  }
}

function attempt<T>(path: string, failure: string, act: () => T): T {
  try {
    return act()
  } catch (error) {
    if (error instanceof LogError) throw error
    const reason = error instanceof Error ? error.message : String(error)
    throw refused(
      path,
      `${failure} (${reason}): choose another path, or mend its permissions`,
      error,
    )
  }
}

export function refused(path: string, reason: string, cause?: unknown): LogError {
  return new LogError('LOG_REFUSED', `${path}: ${reason}`, { cause })
}
