/** The processors of one sub-topology, with a collector that encodes: no task, no log, no commit. */
import { RecordBatchWriter, RecordCursor } from '#log'
import { KeyValueWriteBuffer, WindowWriteBuffer, type TaskStore } from '#state'
import { MemoryBackend } from '#state/memory'
import { assert } from '#system'
import {
  createPipeline,
  json,
  StreamsBuilder,
  string,
  topic,
  type PipelineApi,
  type RecordCollector,
  type Serde,
  type Topology,
} from '#topology'
import { countTopology } from './count.ts'
import type { Piece, Pieces } from './piece.ts'
import { orderBatches, ordersFrom, type Order } from './orders.ts'

const RECORDS = 500
const INPUT = 'orders'
const OUTPUT = 'results'
const PLACE = { topic: INPUT, partition: 0 }

export async function pipelinePieces(): Promise<Pieces> {
  const { bytes } = orderBatches(ordersFrom(0, RECORDS))
  const pieces = [
    await pieceOf('pipeline: filter, map, sink', statelessTopology(), bytes),
    await pieceOf('pipeline: count in windows, sink', countTopology('bench', INPUT, OUTPUT), bytes),
  ]
  return { pieces, close: async () => {} }
}

function statelessTopology(): Topology {
  const orders = topic(INPUT, { key: string(), value: json() as Serde<Order> })
  const results = topic(OUTPUT, { key: string(), value: json() })
  const builder = new StreamsBuilder('bench')
  builder
    .stream(orders)
    .filter(({ qty }) => qty > 0)
    .mapValues(({ order_id, qty }) => ({ order_id, qty }))
    .to(results)
  return builder.build()
}

/** Writes as a task does, into one batch that is forgotten when it is large. */
class BatchCollector implements RecordCollector {
  readonly writer: RecordBatchWriter = new RecordBatchWriter()
  readonly collect: RecordCollector['collect'] = (
    _topic,
    _partition,
    key,
    keySerde,
    value,
    valueSerde,
    timestampMs,
    headers,
  ) => {
    this.writer.addWith(timestampMs, key, keySerde, value, valueSerde, headers)
  }

  announceTime(): void {}
}

async function pieceOf(name: string, topology: Topology, batch: Uint8Array): Promise<Piece> {
  const collector = new BatchCollector()
  const { pipeline, stores } = await open(topology, collector)
  const cursor = new RecordCursor()
  return {
    name,
    of: 'record',
    count: RECORDS,
    run() {
      cursor.open(batch, PLACE)
      while (cursor.next()) {
        pipeline.savepoint()
        for (const store of stores) store.savepoint()
        const decoded = pipeline.decode(INPUT, 0, cursor, -1)
        const place = { partition: 0, offset: cursor.offset, headers: cursor.headers() }
        pipeline.process(INPUT, decoded, place)
      }
      const { count } = collector.writer
      collector.writer.clear()
      return count
    },
  }
}

async function open(
  topology: Topology,
  collector: RecordCollector,
): Promise<{ readonly pipeline: PipelineApi; readonly stores: readonly TaskStore[] }> {
  const [subTopology] = topology.subTopologies
  assert(subTopology !== undefined, 'a topology has a part')
  const backend = new MemoryBackend()
  const stores = new Map<string, TaskStore>()
  for (const spec of subTopology.stores) {
    const location = { applicationId: 'bench', taskId: '0_0', storeName: spec.name }
    const { store } = await backend.open(location)
    const shared = { name: spec.name, store, logged: true, logEvery: false }
    if (spec.kind === 'window') stores.set(spec.name, new WindowWriteBuffer({ ...shared, ...spec }))
    if (spec.kind === 'key-value') {
      stores.set(spec.name, new KeyValueWriteBuffer({ ...shared, ...spec }))
    }
  }
  const pipeline = createPipeline(topology, subTopology, {
    applicationId: 'bench',
    taskId: '0_0',
    partition: 0,
    wallClockMs: () => 0,
    stores,
    collector,
    dropped: (node, reason) => assert(false, `${node}: ${reason}`),
    late: () => assert(false, 'nothing comes late'),
    requestCommit: () => {},
  })
  return { pipeline, stores: [...stores.values()] }
}
