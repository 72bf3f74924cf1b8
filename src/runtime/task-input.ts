/**
 * The inputs of a task: one queue for each topic of its sources that has the task's partition, in the order of the sources.
 *
 * Invariant: the order depends on the topology only, so it is the same wherever the task runs (T1).
 */
import type { TopicPartition } from '#log'
import { topicNameOnLog, type PipelineApi, type SourceNode } from '#topology'
import { RecordQueue } from './record-queue.ts'
import type { TaskIdentity } from './task-contract.ts'
import type { PartitionCounts } from './task-options.ts'
import { sendersTo, UpstreamTimes } from './upstream-times.ts'

interface Place {
  readonly input: TopicPartition
  readonly index: number
  /** The topic as the topology names it. */
  readonly topic: string
}

/** A queue with what its source says about it. */
export class TaskInput extends RecordQueue {
  readonly source: SourceNode
  readonly topic: string
  /** Says what time it is below the source, where its records do not (R12). */
  readonly upstream: UpstreamTimes | undefined
  readonly maxAdvanceMs: number

  constructor(
    place: Place,
    source: SourceNode,
    upstream: UpstreamTimes | undefined,
    pipeline: () => PipelineApi,
  ) {
    const { topic, input } = place
    super({
      ...place,
      internal: source.internal,
      decode: (record, partitionTimeMs) =>
        pipeline().decode(topic, input.partition, record, partitionTimeMs),
    })
    this.source = source
    this.topic = topic
    this.upstream = upstream
    this.maxAdvanceMs = source.maxAdvanceMs ?? Infinity
  }
}

export function taskInputs(
  { topology, subTopology, partition }: TaskIdentity,
  partitionCounts: PartitionCounts,
  pipeline: () => PipelineApi,
): { readonly queues: readonly TaskInput[]; readonly upstreams: readonly UpstreamTimes[] } {
  const queues: TaskInput[] = []
  const upstreams: UpstreamTimes[] = []
  for (const source of subTopology.sources) {
    let upstream: UpstreamTimes | undefined
    if (source.time === 'slowest-upstream') {
      upstream = new UpstreamTimes(source.name, sendersTo(topology, source, partitionCounts))
      upstreams.push(upstream)
    }
    for (const topic of source.topics) {
      const name = topicNameOnLog(topology, topic)
      if (partition >= (partitionCounts.get(name) ?? 0)) continue
      const place = { input: { topic: name, partition }, index: queues.length, topic }
      queues.push(new TaskInput(place, source, upstream, pipeline))
    }
  }
  return { queues, upstreams }
}
