/**
 * Marks of who has the log open under `durability: 'process'`: one that is left from another boot of the machine means that
 * acknowledged records may have gone with the power.
 *
 * Invariant: a mark is on the disk before the first record of its opener, and goes only when all of those are too (R6).
 */
import type { Database } from 'bun:sqlite'

import { type Catalog, currentEpoch } from './catalog.ts'
import type { Durability } from './connection.ts'

/** Where the system does not tell its boots apart, each may be another one. */
export const UNKNOWN_BOOT = 'unknown'

export interface OpenMark {
  readonly opener: string
  readonly pid: number
  readonly bootId: string
  readonly durability: Durability
}

/** Inside a transaction: sets the mark. What is left of another boot starts a new leader epoch in every partition. */
export function enterMark(database: Database, catalog: Catalog, mark: OpenMark): void {
  const { opener, pid, bootId, durability } = mark
  const left = database
    .query(
      `DELETE FROM openers WHERE boot_id <> ? OR boot_id = '${UNKNOWN_BOOT}' RETURNING durability`,
    )
    .values(bootId)
  database.query('INSERT INTO openers VALUES (?, ?, ?, ?)').run(opener, pid, bootId, durability)
  if (left.some(([mode]) => mode === 'process')) startLeaderEpochs(database, catalog)
}

export function leaveMark(database: Database, opener: string): void {
  database.query('DELETE FROM openers WHERE opener = ?').run(opener)
}

/** What is appended from here on belongs to a new epoch: the old one may have been longer than what is left of it. */
function startLeaderEpochs(database: Database, catalog: Catalog): void {
  const insert = database.query('INSERT INTO epochs VALUES (?, ?, ?, ?)')
  for (const { entries } of catalog.topics()) {
    for (const entry of entries) {
      const { topicNumber, partition } = entry
      insert.run(topicNumber, partition, currentEpoch(entry) + 1, catalog.endOffset(entry))
    }
  }
  catalog.changed()
}
