import { describe, expect, test } from 'bun:test'
import { Buffer } from 'node:buffer'
import { decodeJournal, encodeJournal, JournalWriter, type JournalEntry } from './journal.ts'

function journalOf(topics: readonly string[], positions: readonly number[]): JournalWriter {
  const journal = new JournalWriter(topics)
  journal.open(positions)
  return journal
}

const entriesOf = (journal: JournalWriter): readonly JournalEntry[] | undefined => {
  const value = journal.seal()
  return value && decodeJournal(value, '0_0').entries
}

describe('the journal holds what is not in the data, and no more (R10)', () => {
  test('bytes of the worked example', () => {
    const journal = journalOf(['a', 'b'], [10, 0])
    journal.took(0)
    journal.took(0)
    journal.took(1)
    journal.tick(60_000)
    const value = journal.seal() ?? new Uint8Array()
    const hex = Buffer.from(value).toString('hex')
    const tick = '02000000000000ea60'
    expect(hex).toBe('010201610a016200010002010101' + tick)
    expect(decodeJournal(value, '0_0').inputs).toEqual([
      { topic: 'a', position: 10 },
      { topic: 'b', position: 0 },
    ])
  })

  test('two inputs: the order taken, run by run, trailing run included', () => {
    const journal = journalOf(['a', 'b'], [0, 0])
    for (const input of [0, 0, 1, 0, 1, 1]) journal.took(input)
    expect(entriesOf(journal)).toEqual([
      { kind: 'run', input: 0, records: 2 },
      { kind: 'run', input: 1, records: 1 },
      { kind: 'run', input: 0, records: 1 },
      { kind: 'run', input: 1, records: 2 },
    ])
  })

  test('one input: nothing is journaled until something is decided, then only how far the input was', () => {
    const journal = journalOf(['a'], [5])
    for (let n = 0; n < 300; n++) journal.took(0)
    expect(journal.seal()).toBeUndefined()
    journal.open([305])
    for (let n = 0; n < 300; n++) journal.took(0)
    journal.punctuate('sweep', 1_700_000_000_000)
    journal.took(0)
    expect(entriesOf(journal)).toEqual([
      { kind: 'run', input: 0, records: 300 },
      { kind: 'punctuate', name: 'sweep', timeMs: 1_700_000_000_000 },
    ])
  })

  test('a reject names its record by offset; large offsets are exact', () => {
    const journal = journalOf(['a'], [0])
    journal.took(0)
    journal.reject(0, Number.MAX_SAFE_INTEGER)
    expect(entriesOf(journal)).toEqual([
      { kind: 'reject', input: 0, offset: Number.MAX_SAFE_INTEGER },
    ])
  })

  test('an unknown tag or version is JOURNAL_NEWER, a cut record JOURNAL_CORRUPT', () => {
    const code = (bytes: readonly number[]): unknown => {
      try {
        return decodeJournal(Uint8Array.from(bytes), '0_0')
      } catch (error) {
        return (error as { code?: unknown }).code
      }
    }
    expect(code([1, 0, 9])).toBe('JOURNAL_NEWER')
    expect(code([2, 0])).toBe('JOURNAL_NEWER')
    expect(code([1, 0, 2, 0, 0])).toBe('JOURNAL_CORRUPT')
    expect(code([1, 3, 200])).toBe('JOURNAL_CORRUPT')
    expect(code([1, 0, 4])).toEqual({ inputs: [], entries: [{ kind: 'commit' }] })
    expect(code([1, 0, 6])).toEqual({ inputs: [], entries: [{ kind: 'return' }] })
    expect(code([1, 0, 7, 8])).toEqual({
      inputs: [],
      entries: [{ kind: 'doubt' }, { kind: 'trust' }],
    })
  })
})

test('what was decoded is encoded again to the same bytes, every kind of entry', () => {
  const journal = journalOf(['a', 'b'], [2 ** 40, 0])
  journal.took(0)
  journal.took(1)
  journal.tick(60_000)
  journal.punctuate('sweep ü', 1_700_000_000_000)
  journal.reject(1, 2 ** 33)
  journal.doubt()
  journal.trust()
  journal.return()
  journal.took(1)
  journal.commit()
  const value = journal.seal() ?? new Uint8Array()
  const kinds = new Set(decodeJournal(value, '0_0').entries.map(({ kind }) => kind))
  expect(kinds.size).toBe(8)
  expect(Buffer.from(encodeJournal(decodeJournal(value, '0_0'))).equals(value)).toBe(true)
})
