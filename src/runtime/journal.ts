/**
 * What a task decided that is not in its inputs (R10): one journal record a commit, in the commit itself.
 *
 * Invariant: inputs and journal together fix every output byte; whoever meets an entry it does not know must stop.
 *
 * A record's value: version 1 ‖ inputs: count, each (length ‖ topic ‖ position) ‖ entries, in the order decided, each a tag:
 *
 *     1 run        input, records            taken one after the other from that input
 *     2 tick       time (8)                  R9; what is idle was announced right after it
 *     3 punctuate  length ‖ name, time (8)   a wall-clock punctuation fired
 *     4 commit                               only where results are emitted per commit
 *     5 reject     input, offset             R14: too far ahead of a clock that a replay does not have
 *     6 return                               R12: the task stopped to read; what was idle is so no more
 *     7 doubt                                R12: the task began; what is idle above is waited for
 *     8 trust                                R12: what is still in doubt above is idle indeed
 *
 * Numbers without a size are unsigned varints, seven bits a byte, lowest first. The positions are the next offsets of the
 * inputs when the layer was opened. Two records of `a`, one of `b`, then a tick to 60,000:
 *
 *     01  02  01 61 0a  01 62 00  01 00 02  01 01 01  02 000000000000ea60
 */
import { Buffer } from 'node:buffer'
import { asBuffer, ByteWriter, readInt64 } from '#system'
import { TaskError } from './task-error.ts'

export type JournalEntry =
  | { readonly kind: 'run'; readonly input: number; readonly records: number }
  | { readonly kind: 'tick'; readonly timeMs: number }
  | { readonly kind: 'punctuate'; readonly name: string; readonly timeMs: number }
  | { readonly kind: 'commit' }
  | { readonly kind: 'reject'; readonly input: number; readonly offset: number }
  | { readonly kind: 'return' }
  | { readonly kind: 'doubt' }
  | { readonly kind: 'trust' }

export interface JournalRecord {
  readonly inputs: readonly { readonly topic: string; readonly position: number }[]
  readonly entries: readonly JournalEntry[]
}

const VERSION = 1
const RUN = 1
const TICK = 2
const PUNCTUATE = 3
const COMMIT = 4
const REJECT = 5
const RETURN = 6
const DOUBT = 7
const TRUST = 8
const TAGS: Readonly<Record<JournalEntry['kind'], number>> = {
  run: RUN,
  tick: TICK,
  punctuate: PUNCTUATE,
  commit: COMMIT,
  reject: REJECT,
  return: RETURN,
  doubt: DOUBT,
  trust: TRUST,
}

/** Collects the entries of the open layer. */
export class JournalWriter {
  readonly #topics: readonly string[]
  /** Tasks with one input need their runs only in front of other entries. */
  readonly #keepsOrder: boolean
  readonly #writer: ByteWriter = new ByteWriter(256)
  #startBytes: number = 0
  #runInput: number = 0
  #runRecords: number = 0

  constructor(topics: readonly string[]) {
    this.#topics = topics
    this.#keepsOrder = topics.length > 1
  }

  /** Opens a layer at these positions, in the order of the topics. */
  open(positions: readonly number[]): void {
    const writer = this.#writer
    writer.length = 0
    writer.uint8(VERSION)
    writeUnsigned(writer, this.#topics.length)
    for (const [input, topic] of this.#topics.entries()) {
      writeText(writer, topic)
      writeUnsigned(writer, positions[input] ?? 0)
    }
    this.#startBytes = writer.length
    this.#runRecords = 0
  }

  get bytes(): number {
    return this.#writer.length
  }

  /** Hot path: a record left the queue of this input. */
  took(input: number): void {
    if (input !== this.#runInput) {
      this.#endRun()
      this.#runInput = input
    }
    this.#runRecords += 1
  }

  tick(timeMs: number): void {
    this.#endRun()
    this.#writer.uint8(TICK)
    this.#writer.int64(timeMs)
  }

  punctuate(name: string, timeMs: number): void {
    this.#endRun()
    this.#writer.uint8(PUNCTUATE)
    writeText(this.#writer, name)
    this.#writer.int64(timeMs)
  }

  commit(): void {
    this.#endRun()
    this.#writer.uint8(COMMIT)
  }

  return(): void {
    this.#endRun()
    this.#writer.uint8(RETURN)
  }

  doubt(): void {
    this.#endRun()
    this.#writer.uint8(DOUBT)
  }

  trust(): void {
    this.#endRun()
    this.#writer.uint8(TRUST)
  }

  /** Names the record by its offset, so it needs no run in front. */
  reject(input: number, offset: number): void {
    if (this.#keepsOrder) this.#endRun()
    this.#writer.uint8(REJECT)
    writeUnsigned(this.#writer, input)
    writeUnsigned(this.#writer, offset)
  }

  /** The layer's record, or undefined if nothing was decided. `open` comes next. */
  seal(): Uint8Array | undefined {
    if (this.#keepsOrder) this.#endRun()
    return this.#writer.length === this.#startBytes ? undefined : this.#writer.copy()
  }

  #endRun(): void {
    if (this.#runRecords === 0) return
    this.#writer.uint8(RUN)
    writeUnsigned(this.#writer, this.#runInput)
    writeUnsigned(this.#writer, this.#runRecords)
    this.#runRecords = 0
  }
}

/** JOURNAL_NEWER for a version or tag from the future, JOURNAL_CORRUPT for bytes that end too soon. */
export function decodeJournal(value: Uint8Array, taskId: string): JournalRecord {
  const reader = new JournalReader(asBuffer(value), taskId)
  const version = reader.uint8()
  if (version !== VERSION) throw newer(taskId, `version ${version}`)
  const inputs: { topic: string; position: number }[] = []
  for (let left = reader.unsigned(); left > 0; left--) {
    inputs.push({ topic: reader.text(), position: reader.unsigned() })
  }
  const entries: JournalEntry[] = []
  while (!reader.atEnd) entries.push(readEntry(reader, taskId))
  return { inputs, entries }
}

/** What `decodeJournal` reads; a record that a task wrote comes out as it was, byte for byte. */
export function encodeJournal({ inputs, entries }: JournalRecord): Uint8Array {
  const writer = new ByteWriter(256)
  writer.uint8(VERSION)
  writeUnsigned(writer, inputs.length)
  for (const { topic, position } of inputs) {
    writeText(writer, topic)
    writeUnsigned(writer, position)
  }
  for (const entry of entries) writeEntry(writer, entry)
  return writer.copy()
}

function writeEntry(writer: ByteWriter, entry: JournalEntry): void {
  writer.uint8(TAGS[entry.kind])
  if (entry.kind === 'punctuate') writeText(writer, entry.name)
  if (entry.kind === 'punctuate' || entry.kind === 'tick') writer.int64(entry.timeMs)
  if (entry.kind === 'run' || entry.kind === 'reject') {
    writeUnsigned(writer, entry.input)
    writeUnsigned(writer, entry.kind === 'run' ? entry.records : entry.offset)
  }
}

function readEntry(reader: JournalReader, taskId: string): JournalEntry {
  const tag = reader.uint8()
  switch (tag) {
    case RUN:
      return { kind: 'run', input: reader.unsigned(), records: reader.unsigned() }
    case TICK:
      return { kind: 'tick', timeMs: reader.int64() }
    case PUNCTUATE:
      return { kind: 'punctuate', name: reader.text(), timeMs: reader.int64() }
    case COMMIT:
      return { kind: 'commit' }
    case REJECT:
      return { kind: 'reject', input: reader.unsigned(), offset: reader.unsigned() }
    case RETURN:
      return { kind: 'return' }
    case DOUBT:
      return { kind: 'doubt' }
    case TRUST:
      return { kind: 'trust' }
    default:
      throw newer(taskId, `an entry of kind ${tag}`)
  }
}

function newer(taskId: string, what: string): TaskError {
  const message = `the journal of task ${taskId} holds ${what}, which this version does not know`
  return new TaskError('JOURNAL_NEWER', message, { taskId })
}

class JournalReader {
  readonly #bytes: Buffer
  readonly #taskId: string
  #at: number = 0

  constructor(bytes: Buffer, taskId: string) {
    this.#bytes = bytes
    this.#taskId = taskId
  }

  get atEnd(): boolean {
    return this.#at >= this.#bytes.length
  }

  uint8(): number {
    return this.#bytes.readUInt8(this.#advance(1))
  }

  int64(): number {
    return readInt64(this.#bytes, this.#advance(8))
  }

  unsigned(): number {
    let value = 0
    for (let scale = 1; scale <= Number.MAX_SAFE_INTEGER; scale *= 128) {
      const byte = this.uint8()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
    }
    throw this.#corrupt()
  }

  text(): string {
    const length = this.unsigned()
    const start = this.#advance(length)
    return this.#bytes.utf8Slice(start, start + length)
  }

  #advance(count: number): number {
    const start = this.#at
    if (start + count > this.#bytes.length) throw this.#corrupt()
    this.#at += count
    return start
  }

  #corrupt(): TaskError {
    const message = `a journal record of task ${this.#taskId} ends in the middle of an entry`
    return new TaskError('JOURNAL_CORRUPT', message, { taskId: this.#taskId })
  }
}

function writeText(writer: ByteWriter, text: string): void {
  writeUnsigned(writer, Buffer.byteLength(text))
  writer.utf8(text)
}

function writeUnsigned(writer: ByteWriter, value: number): void {
  let rest = value
  while (rest > 0x7f) {
    writer.uint8((rest % 128) | 0x80)
    rest = Math.floor(rest / 128)
  }
  writer.uint8(rest)
}
