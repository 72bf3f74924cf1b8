/**
 * The processors of one sub-topology, wired for one partition.
 *
 * Invariant: a record runs depth first, through children in the order attached, to its end.
 */
import type { RawRecord } from '#log'
import type { TaskStore } from '#state'
import { assert } from '#system'
import { freezingStores } from './freeze.ts'
import { Guard } from './guard.ts'
import type { TopologyNode } from './node.ts'
import { createProcessor } from './operators.ts'
import type {
  DecodedRecord,
  PipelineApi,
  PipelineEnvironment,
  PipelineFactory,
} from './pipeline-contract.ts'
import type { Processor } from './processor.ts'
import type { Firing } from './punctuations.ts'
import { RunContext } from './run-context.ts'
import { PipelineSource } from './pipeline-source.ts'
import { PipelineTime } from './pipeline-time.ts'
import { RecordCaches } from './record-caches.ts'
import { type TimeFlow, timeFlows } from './time-flow.ts'
import { timeSenders } from './time-senders.ts'
import { type SubTopology, type Topology, topicNameOnLog } from './topology.ts'
import { downstream, type TimeKeeper } from './wiring.ts'

export const createPipeline: PipelineFactory = (topology, subTopology, environment) =>
  new Pipeline(topology, subTopology, environment)

export class Pipeline implements PipelineApi {
  readonly #run: RunContext
  readonly #sources: ReadonlyMap<string, PipelineSource>
  readonly #processors: readonly Processor[]
  readonly #time: PipelineTime
  readonly #caches: RecordCaches
  /** The source of the last record: most records come from the same topic as the one before. */
  #lastTopic = ''
  #lastSource: PipelineSource | undefined

  constructor(topology: Topology, subTopology: SubTopology, environment: PipelineEnvironment) {
    this.#run = new RunContext(environment)
    const flows = timeFlows(subTopology)
    this.#caches = new RecordCaches(this.#run, subTopology)
    const { made, wired } = wire(subTopology, this.#run, flows, this.#caches)
    // What only passes records on is its own child: each processor once, parents first.
    this.#processors = [...new Set(made.values())].reverse()
    this.#sources = sourcesByTopic(topology, subTopology, wired, environment)
    this.#time = new PipelineTime(this.#run, keepers(subTopology, made), flows)
    for (const processor of this.#processors) processor.init?.()
  }

  decode(
    topic: string,
    partition: number,
    record: RawRecord,
    partitionTimeMs: number,
  ): DecodedRecord {
    return this.#source(topic).decode(partition, record, partitionTimeMs)
  }

  process(
    topic: string,
    record: DecodedRecord,
    place: Parameters<PipelineApi['process']>[2],
  ): void {
    const source = this.#source(topic)
    const { timestampMs } = record
    if (timestampMs < 0) {
      this.#dropTimeless(source)
      return
    }
    this.#run.enterRecord(source.topic, place.partition, place.offset, place.headers)
    source.next.process(record.key, record.value, timestampMs)
  }

  #dropTimeless({ name }: PipelineSource): void {
    this.#run.environment.dropped(name, 'negative timestamp')
  }

  #source(topic: string): PipelineSource {
    if (topic === this.#lastTopic && this.#lastSource !== undefined) return this.#lastSource
    const source = this.#sources.get(topic)
    assert(source !== undefined, `${topic} is an input of this sub-topology`)
    this.#lastTopic = topic
    this.#lastSource = source
    return source
  }

  get holdsForwards(): boolean {
    return !this.#caches.isEmpty
  }

  flush(): void {
    this.#caches.flush()
  }

  tick(timeMs: number): void {
    this.#caches.flush()
    this.#run.enterPunctuator(timeMs)
    this.#time.tick(timeMs)
  }

  advanceTime(source: string, timeMs: number): void {
    this.#caches.flush()
    this.#run.enterPunctuator(timeMs)
    this.#time.advance(source, timeMs)
  }

  announceReturn(): boolean {
    return this.#time.announceReturn()
  }

  announceIdle(): boolean {
    return this.#time.announceIdle()
  }

  nextDueTimeMs(source: string): number {
    return this.#time.nextDueBelow(source)
  }

  get nextDueStreamTimeMs(): number {
    return Math.min(this.#run.punctuations.nextStreamTimeMs, this.#time.nextDueByTick)
  }

  get nodeAtWork(): string | undefined {
    return this.#run.node
  }

  get streamTimeMs(): number {
    return this.#run.streamTimeMs
  }

  set streamTimeMs(streamTimeMs: number) {
    this.#run.streamTimeMs = streamTimeMs
  }

  punctuateStreamTime(): number {
    return this.#run.punctuations.fireStreamTime(this.#run.streamTimeMs)
  }

  punctuateWallClock(nowMs: number): readonly Firing[] {
    return this.#run.punctuations.fireWallClock(nowMs)
  }

  replayPunctuation(name: string, timeMs: number): void {
    this.#run.punctuations.replay(name, timeMs)
  }

  get nextWallClockMs(): number {
    return this.#run.punctuations.nextWallClockMs
  }

  savedTimes(): ReadonlyMap<string, number> {
    return this.#time.save()
  }

  restoreTimes(times: ReadonlyMap<string, number>): void {
    this.#time.restore(times)
    this.#run.punctuations.resumeAt(this.#run.streamTimeMs)
  }

  savepoint(): void {
    this.#run.undoLog.savepoint()
  }

  rollback(): void {
    this.#run.undoLog.rollback()
  }

  close(): void {
    for (const processor of this.#processors) processor.close?.()
  }
}

/** The processors by node, as they are and as their parents call them. */
interface Wired {
  readonly made: ReadonlyMap<string, Processor>
  readonly wired: ReadonlyMap<string, Processor>
}

/** Children before parents, so that each processor is made with its downstream. */
function wire(
  subTopology: SubTopology,
  run: RunContext,
  flows: ReadonlyMap<string, TimeFlow>,
  caches: RecordCaches,
): Wired {
  const { environment } = run
  const stores: ReadonlyMap<string, TaskStore> =
    environment.freezeValues === true
      ? freezingStores(environment.stores, subTopology.stores)
      : environment.stores
  const senders = timeSenders(subTopology)
  const childrenOf = childNodes(subTopology)
  const passOver = environment.passOver?.bind(environment)
  const made = new Map<string, Processor>()
  const wired = new Map<string, Processor>()
  for (const node of subTopology.nodes.toReversed()) {
    const childNames = childrenOf.get(node.name) ?? []
    const children = childNames.flatMap((name) => wired.get(name) ?? [])
    assert(children.length === childNames.length, `the children of ${node.name} come after it`)
    const next = caches.inFrontOf(node, downstream(children))
    const processor = createProcessor(node, {
      run,
      subTopology,
      stores,
      next,
      children,
      childNames,
      isTimeHeld: (flows.get(node.name)?.heldLanes.length ?? 0) > 0,
      announcesTo: senders.flatMap((sender) => (sender.node === node.name ? [sender.topic] : [])),
    })
    made.set(node.name, processor)
    const isGuarded = passOver !== undefined && processor !== next
    wired.set(node.name, isGuarded ? new Guard(processor, passOver) : processor)
  }
  return { made, wired }
}

/** In the order in which the edges were made; a node is a parent's child once, even if it names it twice. */
function childNodes({ nodes }: SubTopology): ReadonlyMap<string, readonly string[]> {
  const children = new Map<string, string[]>(nodes.map((node) => [node.name, []]))
  for (const node of nodes) {
    for (const parent of new Set(node.parents)) children.get(parent)?.push(node.name)
  }
  return children
}

function sourcesByTopic(
  topology: Topology,
  subTopology: SubTopology,
  wired: ReadonlyMap<string, Processor>,
  { timestampExtractor }: PipelineEnvironment,
): ReadonlyMap<string, PipelineSource> {
  const sources = new Map<string, PipelineSource>()
  for (const node of subTopology.sources) {
    const next = wired.get(node.name)
    assert(next !== undefined, `source ${node.name} is among the nodes`)
    for (const topic of node.topics) {
      const onLog = topicNameOnLog(topology, topic)
      const source = new PipelineSource(node, onLog, next, timestampExtractor)
      sources.set(topic, source)
      sources.set(onLog, source)
    }
  }
  return sources
}

/** Parents before children, as a tick must reach them. */
function keepers(
  { nodes }: SubTopology,
  made: ReadonlyMap<string, Processor>,
): ReadonlyMap<string, TimeKeeper> {
  const found = new Map<string, TimeKeeper>()
  for (const { name } of nodes.filter(keepsTime)) {
    const processor = made.get(name)
    if (processor !== undefined && isTimeKeeper(processor)) found.set(name, processor)
  }
  return found
}

function keepsTime({ kind }: TopologyNode): boolean {
  return kind === 'window-aggregate' || kind === 'suppress' || kind === 'dedupe'
}

function isTimeKeeper(processor: Processor): processor is Processor & TimeKeeper {
  return 'advanceTime' in processor
}
