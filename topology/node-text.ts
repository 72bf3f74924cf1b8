/**
 * One node for people: what it does, and the name it is known by.
 *
 * Invariant: two nodes never read the same, since their names differ.
 */
import type { TopologyNode } from './node.ts'

export function nodeText(node: TopologyNode): string {
  const [kind, detail] = [WORDS[node.kind], detailOf(node)]
  return `${kind}${detail === '' ? '' : ` ${detail}`} · ${node.name}`
}

const WORDS: Readonly<Record<TopologyNode['kind'], string>> = {
  source: 'source',
  sink: 'sink',
  filter: 'filter',
  'drop-null-keys': 'drop null keys',
  map: 'map',
  'flat-map': 'flat map',
  'map-values': 'map values',
  'flat-map-values': 'flat map values',
  'select-key': 'select key',
  peek: 'peek',
  pass: 'pass',
  branch: 'branch',
  'table-source': 'table',
  'to-table': 'to table',
  'table-filter': 'filter table',
  'table-map-values': 'map table values',
  'to-stream': 'to stream',
  aggregate: 'aggregate',
  'window-aggregate': 'aggregate by window',
  suppress: 'suppress',
  'stream-table-join': 'join table',
  dedupe: 'dedupe',
  process: 'process',
}

function detailOf(node: TopologyNode): string {
  if (node.kind === 'window-aggregate') {
    const { sizeMs, advanceMs, graceMs } = node.windows
    const hops = advanceMs === sizeMs ? '' : ` every ${advanceMs}`
    return `${sizeMs}${hops} + ${graceMs} ms, ${node.emit}`
  }
  if (node.kind === 'dedupe') return `within ${node.withinMs} ms`
  if (node.kind === 'suppress') return `until ${node.until}`
  return ''
}
