/**
 * What commits have written, held against the reference: key by key, since a key's records are in order wherever they lie.
 *
 * Invariant: only topics are looked at whose every writer the reference knows.
 */
import { asBuffer } from '#system'
import type { SimulatedInput } from '../simulated-input.ts'
import type { Violations } from '../violations.ts'
import { shown, type PlainRecord } from './records.ts'

type ByKey = Map<string | null, string[]>

/** `written`: all records of the topic in one commit, partition by partition. */
export function compareWithReference(
  topic: string,
  written: readonly PlainRecord[],
  expected: readonly SimulatedInput[],
  violations: Violations,
): void {
  const found: ByKey = new Map()
  const wanted: ByKey = new Map()
  for (const { key, value } of written) pushTo(found, key, shown(value))
  for (const { topic: to, key, value } of expected) {
    if (to === topic) pushTo(wanted, textOrNull(key), shown(textOrNull(value)))
  }
  for (const key of new Set([...found.keys(), ...wanted.keys()])) {
    const [is, must] = [found.get(key)?.join(', '), wanted.get(key)?.join(', ')]
    if (is === must) continue
    const what = `${topic} got ${is ?? 'nothing'} for ${shown(key)}; the reference: ${must ?? 'nothing'}`
    violations.add('reference', what)
  }
}

function pushTo(lists: ByKey, key: string | null, text: string): void {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [text])
  else list.push(text)
}

function textOrNull(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : asBuffer(bytes).latin1Slice()
}
