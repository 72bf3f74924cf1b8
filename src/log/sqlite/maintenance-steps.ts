/**
 * What maintenance writes, a bounded step a transaction.
 *
 * Invariant: only batches whose every offset lies below the earliest offset are removed, and only batches that are still as
 * they were read are rewritten: two processes may maintain one log.
 */
import { asBuffer } from '#system'
import type { Database, Statement } from 'bun:sqlite'

import { CRC_AT } from '../record-batch.ts'
import type { Catalog } from './catalog.ts'
import type { BatchRewrite, WriteRequest } from './write-channel.ts'

export class MaintenanceSteps {
  readonly #catalog: Catalog
  readonly #remove: Statement
  readonly #bytesOf: Statement
  readonly #rewrite: Statement
  readonly #drop: Statement
  readonly #tombstonesGone: Statement
  readonly #endAtLeast: Statement
  readonly #cleaned: Statement
  readonly #remember: Statement
  readonly #forget: Statement

  constructor(database: Database, catalog: Catalog) {
    this.#catalog = catalog
    // A topic that is gone has no earliest offset: all of it goes.
    this.#remove = database.prepare(
      `DELETE FROM batches WHERE topic = ?1 AND partition = ?2 AND base_offset <= ?3
       AND last_offset < coalesce(
         (SELECT earliest_offset FROM partitions WHERE topic = ?1 AND partition = ?2), 9e15)`,
    )
    this.#bytesOf = database.prepare(
      'SELECT bytes FROM batches WHERE topic = ? AND partition = ? AND base_offset = ?',
    )
    this.#rewrite = database.prepare(
      `UPDATE batches SET bytes = ?, max_timestamp = ?
       WHERE topic = ? AND partition = ? AND base_offset = ?`,
    )
    this.#drop = database.prepare(
      'DELETE FROM batches WHERE topic = ? AND partition = ? AND base_offset = ?',
    )
    this.#tombstonesGone = database.prepare(
      `UPDATE partitions SET tombstones_removed_below = max(tombstones_removed_below, ?)
       WHERE topic = ? AND partition = ?`,
    )
    this.#endAtLeast = database.prepare(
      'UPDATE partitions SET end_floor = max(end_floor, ?) WHERE topic = ? AND partition = ?',
    )
    this.#cleaned = database.prepare(
      `UPDATE partitions SET cleaned_below = max(cleaned_below, ?), swept_below = max(swept_below, ?)
       WHERE topic = ? AND partition = ?`,
    )
    this.#remember = database.prepare('INSERT OR REPLACE INTO cleanings VALUES (?, ?, ?, ?)')
    this.#forget = database.prepare(
      `DELETE FROM cleanings WHERE topic = ? AND partition = ? AND (below_offset < ? OR at_ms >= ?)`,
    )
  }

  removeBatches(request: WriteRequest<'remove-batches'>): number {
    const { topicNumber, partition, throughOffset } = request
    return this.#remove.run(topicNumber, partition, throughOffset).changes
  }

  /** False, and nothing done, if a batch is no longer as it was. */
  rewriteBatches(request: WriteRequest<'rewrite-batches'>): boolean {
    const { partition, rewrites, tombstonesRemovedBelow } = request
    const entry = this.#catalog.topic(request.topic)?.entries[partition]
    if (entry === undefined || entry.topicNumber !== request.topicNumber) return false
    const { topicNumber } = entry
    const isSame = ({ baseOffset, crc }: BatchRewrite): boolean => {
      const bytes = this.#bytesOf.values(topicNumber, partition, baseOffset)[0]?.[0]
      return bytes instanceof Uint8Array && asBuffer(bytes).readUInt32BE(CRC_AT) === crc
    }
    if (!rewrites.every(isSame)) return false
    this.#endAtLeast.run(this.#catalog.endOffset(entry), topicNumber, partition)
    for (const { baseOffset, bytes, maxTimestampMs } of rewrites) {
      if (bytes === undefined) this.#drop.run(topicNumber, partition, baseOffset)
      else this.#rewrite.run(bytes, maxTimestampMs, topicNumber, partition, baseOffset)
    }
    this.#tombstonesGone.run(tombstonesRemovedBelow, topicNumber, partition)
    this.#catalog.changed()
    return true
  }

  /** One row a slice of time is remembered, the last of each. */
  finishCleaning(request: WriteRequest<'finish-cleaning'>): null {
    const { topicNumber, partition, cleanedBelow, sweptBelow, atMs, sliceMs } = request
    this.#cleaned.run(cleanedBelow, sweptBelow, topicNumber, partition)
    const sliceStartMs = sliceMs === 0 ? atMs : atMs - (atMs % sliceMs)
    this.#forget.run(topicNumber, partition, sweptBelow, sliceStartMs)
    this.#remember.run(topicNumber, partition, cleanedBelow, atMs)
    this.#catalog.changed()
    return null
  }
}
