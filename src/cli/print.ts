/**
 * How the command line shows records and tables.
 *
 * Invariant: bytes that are not text are shown as hex, never as mangled text.
 */
export interface ShownRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly key: string | { readonly hex: string } | null
  readonly value: string | { readonly hex: string } | null
  readonly headers: readonly (readonly [string, string | { readonly hex: string } | null])[]
}

const strict = new TextDecoder('utf-8', { fatal: true })

export function shown(bytes: Uint8Array | null): string | { readonly hex: string } | null {
  if (bytes === null) return null
  try {
    const text = strict.decode(bytes)
    // Control characters would do things to a terminal, and mostly mean that these bytes are numbers.
    if (!/[^\P{Cc}\t\n]/u.test(text)) return text
  } catch {
    // Not UTF-8: shown as hex below.
  }
  return { hex: Buffer.from(bytes).toString('hex') }
}

export function line(record: ShownRecord): string {
  const plain = (part: ShownRecord['key']): string =>
    part === null ? 'null' : typeof part === 'string' ? part : `0x${part.hex}`
  const headers = record.headers.map(([name, value]) => ` ${name}=${plain(value)}`).join('')
  const time = new Date(record.timestamp).toISOString()
  const place = `${record.partition}@${record.offset}`
  return `${place} ${time} ${plain(record.key)} ${plain(record.value)}${headers}`
}

/** Columns padded to their widest cell; numbers to the right. */
export function table(
  titles: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): string {
  const widths = titles.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => String(row[column] ?? '').length)),
  )
  const cell = (value: string | number, column: number): string => {
    const width = widths[column] ?? 0
    return typeof value === 'number' ? String(value).padStart(width) : value.padEnd(width)
  }
  const all = [titles, ...rows].map((row) => row.map(cell).join('  ').trimEnd())
  return all.join('\n')
}
