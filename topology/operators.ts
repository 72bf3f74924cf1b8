/**
 * From a node to its running processor.
 *
 * Invariant: every kind of node has one; what forwards everything as it is has none of its own, its downstream stands for it.
 */
import type { TopologyNode } from './node.ts'
import type { Processor } from './processor.ts'
import { Aggregate } from './processors/aggregate.ts'
import { Branch } from './processors/branch.ts'
import { Dedupe } from './processors/dedupe.ts'
import { DropNullKeys } from './processors/drop-null-keys.ts'
import { Filter } from './processors/filter.ts'
import { FlatMapValues } from './processors/flat-map-values.ts'
import { FlatMap } from './processors/flat-map.ts'
import { MapValues } from './processors/map-values.ts'
import { MapPairs } from './processors/map.ts'
import { Peek } from './processors/peek.ts'
import { ProcessPairs } from './processors/process-pairs.ts'
import { ProcessValues } from './processors/process-values.ts'
import { Process } from './processors/process.ts'
import { SelectKey } from './processors/select-key.ts'
import { Sink } from './processors/sink.ts'
import { StreamTableJoin } from './processors/stream-table-join.ts'
import { Suppress } from './processors/suppress.ts'
import { TableFilter } from './processors/table-filter.ts'
import { TableMapValues } from './processors/table-map-values.ts'
import { TableSource } from './processors/table-source.ts'
import { ToStream } from './processors/to-stream.ts'
import { WindowAggregate } from './processors/window-aggregate.ts'
import { UserContext } from './user-context.ts'
import type { NodeOf, Wiring } from './wiring.ts'

export function createProcessor(node: TopologyNode, wiring: Wiring): Processor {
  switch (node.kind) {
    case 'source':
    case 'pass':
      return wiring.next
    case 'sink':
      return new Sink(node, wiring)
    case 'filter':
      return new Filter(node, wiring)
    case 'drop-null-keys':
      return new DropNullKeys(node, wiring)
    case 'map':
      return new MapPairs(node, wiring)
    case 'flat-map':
      return new FlatMap(node, wiring)
    case 'map-values':
      return new MapValues(node, wiring)
    case 'flat-map-values':
      return new FlatMapValues(node, wiring)
    case 'select-key':
      return new SelectKey(node, wiring)
    case 'peek':
      return new Peek(node, wiring)
    case 'branch':
      return new Branch(node, wiring)
    case 'table-source':
    case 'to-table':
      return new TableSource(node, wiring)
    case 'table-filter':
      return new TableFilter(node, wiring)
    case 'table-map-values':
      return new TableMapValues(node, wiring)
    case 'to-stream':
      return new ToStream(node, wiring)
    case 'aggregate':
      return new Aggregate(node, wiring)
    case 'window-aggregate':
      return new WindowAggregate(node, wiring)
    case 'suppress':
      return new Suppress(node, wiring)
    case 'stream-table-join':
      return new StreamTableJoin(node, wiring)
    case 'dedupe':
      return new Dedupe(node, wiring)
    case 'process':
      return userProcessor(node, wiring)
  }
}

function userProcessor(node: NodeOf<'process'>, wiring: Wiring): Processor {
  const context = new UserContext(node, wiring)
  const processor = node.supplier()
  if ('processValue' in processor) return new ProcessValues(node.name, processor, context, wiring)
  if ('processPairs' in processor) return new ProcessPairs(node.name, processor, context, wiring)
  return new Process(node.name, processor, context, wiring)
}
