/**
 * The tables of the log file, and the mark that says a file is ours.
 *
 *     bytes 0–15 of the file   "SQLite format 3\0"
 *     bytes 60–63              layout of the tables: FORMAT, big-endian
 *     bytes 68–71              "MILL"
 *
 * Both numbers are in the file itself before it gets its name, so that a look at 100 bytes tells whose it is.
 *
 * Invariant: rows of `batches` of one partition never overlap, and their offsets lie at or above its earliest offset.
 */

export const FORMAT = 1
/** "MILL" */
export const APPLICATION_ID = 0x4d494c4c

export const TABLES = `
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;

-- Numbers are never used again: what a deleted topic left behind is swept up later.
CREATE TABLE topics (
  topic INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  topic_id TEXT NOT NULL,
  config TEXT NOT NULL
);

-- end_floor: the end offset is never below it, also when the last batches are gone.
-- cleaned_below, swept_below: how far compaction has come with old values, and with tombstones.
CREATE TABLE partitions (
  topic INTEGER NOT NULL,
  partition INTEGER NOT NULL,
  earliest_offset INTEGER NOT NULL DEFAULT 0,
  end_floor INTEGER NOT NULL DEFAULT 0,
  tombstones_removed_below INTEGER NOT NULL DEFAULT 0,
  cleaned_below INTEGER NOT NULL DEFAULT 0,
  swept_below INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (topic, partition)
) WITHOUT ROWID;

CREATE TABLE epochs (
  topic INTEGER NOT NULL,
  partition INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  start_offset INTEGER NOT NULL,
  PRIMARY KEY (topic, partition, epoch)
) WITHOUT ROWID;

-- A rowid table with an index appends and reads about twice as fast as WITHOUT ROWID: blobs stay out of the index.
CREATE TABLE batches (
  id INTEGER PRIMARY KEY,
  topic INTEGER NOT NULL,
  partition INTEGER NOT NULL,
  base_offset INTEGER NOT NULL,
  last_offset INTEGER NOT NULL,
  max_timestamp INTEGER NOT NULL,
  bytes BLOB NOT NULL
);
CREATE UNIQUE INDEX batches_by_offset ON batches (topic, partition, base_offset);

-- When a partition was compacted up to where: tombstones below may go once delete.retention.ms has passed since.
CREATE TABLE cleanings (
  topic INTEGER NOT NULL,
  partition INTEGER NOT NULL,
  below_offset INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,
  PRIMARY KEY (topic, partition, below_offset)
) WITHOUT ROWID;

CREATE TABLE groups (group_id TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE offsets (
  group_id TEXT NOT NULL,
  topic INTEGER NOT NULL,
  partition INTEGER NOT NULL,
  next_offset INTEGER NOT NULL,
  metadata TEXT NOT NULL,
  PRIMARY KEY (group_id, topic, partition)
) WITHOUT ROWID;
CREATE TABLE producers (transactional_id TEXT PRIMARY KEY, epoch INTEGER NOT NULL) WITHOUT ROWID;

-- Who has the file open, or had it open and never closed it.
CREATE TABLE openers (
  opener TEXT PRIMARY KEY,
  pid INTEGER NOT NULL,
  boot_id TEXT NOT NULL,
  durability TEXT NOT NULL
) WITHOUT ROWID;
`
