/**
 * Everything of one run: the broker, the network, disks, processes, and what watches them.
 *
 * Invariant: processes of one instance never live at the same time; a disk is touched from outside only between two of them.
 */
import { partitionFor, RecordBatchWriter } from '#log'
import { taskCountOf, type TaskOptions } from '#runtime'
import { outsideTopics, prepareTopics, type LogTopics } from '#runtime/parts'
import type { Happening } from '#system'
import type { Topology } from '#topology'
import { Broker } from './broker.ts'
import { OutputCheck } from './checks/output-check.ts'
import { QueryCheck } from './checks/query-check.ts'
import type { Reference } from './checks/reference.ts'
import { StoreCheck } from './checks/store-check.ts'
import { TaskReplay } from './checks/task-replay.ts'
import { FaultPlan } from './fault-plan.ts'
import { Network } from './network.ts'
import { Scheduler } from './scheduler.ts'
import type { SeededRandom } from './seeded-random.ts'
import { SimulatedDisk } from './simulated-disk.ts'
import { SimulatedLog } from './simulated-log.ts'
import { SimulatedMember } from './simulated-member.ts'
import { SimulatedProcess } from './simulated-process.ts'
import type { SimulatedInput } from './simulated-input.ts'
import type { ExpandedOptions } from './simulation-options.ts'
import { Violations } from './violations.ts'

/** 14 November 2023. */
const START_MS = 1_700_000_000_000

export interface WorldSetup {
  readonly topology: Topology
  readonly options: ExpandedOptions
  readonly random: SeededRandom
  readonly taskOptions: TaskOptions
  readonly reference: Reference | undefined
  readonly trace: ((line: string) => void) | undefined
}

export class World {
  readonly topology: Topology
  readonly options: ExpandedOptions
  readonly scheduler: Scheduler
  readonly random: SeededRandom
  readonly faults: FaultPlan
  readonly violations: Violations
  readonly broker: Broker
  readonly stores: StoreCheck
  readonly queries: QueryCheck
  readonly members: SimulatedMember[] = []
  readonly #reference: Reference | undefined
  readonly #network: Network
  readonly #writer = new RecordBatchWriter()
  readonly #taskOptions: TaskOptions
  readonly #disks = new Map<string, SimulatedDisk>()
  readonly #outside: SimulatedProcess
  outputs: OutputCheck | undefined
  #topics: LogTopics = { partitionCounts: new Map(), batchLimits: new Map() }
  #started: number = 0

  private constructor(setup: WorldSetup) {
    const { topology, options, random, taskOptions, trace } = setup
    this.topology = topology
    this.options = options
    this.random = random
    this.#taskOptions = taskOptions
    this.scheduler = new Scheduler(trace)
    this.violations = new Violations(this.scheduler)
    this.faults = new FaultPlan(options.faults, random.fork('faults'), options.replyTimeoutMs)
    this.#network = new Network(this.scheduler, random.fork('network'), this.faults)
    this.#outside = new SimulatedProcess(
      'outside',
      this.scheduler,
      random.fork('outside'),
      START_MS,
    )
    this.#reference = setup.reference
    this.queries = new QueryCheck(topology, this.violations, this.faults, random.fork('queries'))
    this.stores = new StoreCheck(topology, () => this.broker, this.violations)
    this.broker = new Broker({
      scheduler: this.scheduler,
      random: random.fork('broker'),
      clock: this.#outside.clock,
      isOneStep: options.log === 'one-step',
      transactionTimeoutMs: options.transactionTimeoutMs,
      count: (what) => this.faults.count(what),
      onCommitted: (decided) => {
        this.stores.committed(decided)
        this.outputs?.committed(decided)
      },
    })
  }

  static async of(setup: WorldSetup): Promise<World> {
    const world = new World(setup)
    await world.#prepare()
    return world
  }

  get nowMs(): number {
    return this.#outside.clock.nowMs()
  }

  get living(): readonly SimulatedMember[] {
    return this.members.filter(({ isLiving }) => isLiving)
  }

  get counts(): ReadonlyMap<string, number> {
    return this.#topics.partitionCounts
  }

  /** Starts a process of an instance of which none lives. */
  start(instanceId: string): SimulatedMember {
    this.#started += 1
    const name = `${instanceId}.${this.#started}`
    const process = new SimulatedProcess(name, this.scheduler, this.random.fork(name), START_MS)
    this.scheduler.note('start', process)
    const member = new SimulatedMember({
      process,
      log: new SimulatedLog(this.broker, this.#network, process, this.faults),
      disk: this.diskOf(instanceId),
      topology: this.topology,
      topics: this.#topics,
      options: this.options,
      taskOptions: this.#taskOptions,
      isStatic: this.random.chance(0.5),
      observer: (happening) => this.#saw(happening),
    })
    this.members.push(member)
    return member
  }

  diskOf(instanceId: string): SimulatedDisk {
    const found = this.#disks.get(instanceId)
    if (found !== undefined) return found
    const made = new SimulatedDisk(instanceId, this.faults, this.random.fork('disk'), this.stores)
    this.#disks.set(instanceId, made)
    return made
  }

  /** As producers choose it. */
  partitionOf({ topic, key }: SimulatedInput): number {
    const partitions = this.counts.get(topic) ?? 1
    return key === null ? this.random.below(partitions) : partitionFor(key, partitions)
  }

  append({ topic, key, value, timestampMs = this.nowMs }: SimulatedInput, partition: number): void {
    const writer = this.#writer
    writer.add(timestampMs, key, value, [])
    this.broker.append({ topic, partition, bytes: writer.finish(), count: 1 })
  }

  /** Until it has settled: what a setup needs. */
  async until<T>(promise: Promise<T>): Promise<T> {
    const settled = new Set<string>()
    const over = (): void => void settled.add('over')
    promise.then(over, over)
    while (settled.size === 0 && this.scheduler.step());
    return promise
  }

  async #prepare(): Promise<void> {
    const { topology, options } = this
    const { sources, sinks } = outsideTopics(topology)
    const specs = [...new Set([...sources, ...sinks])].map((topic) => ({
      topic,
      partitions: options.partitions,
      config: {},
    }))
    const calm = new FaultPlan({}, this.random.fork('calm'), options.replyTimeoutMs)
    const network = new Network(this.scheduler, this.random.fork('setup'), calm)
    const log = new SimulatedLog(this.broker, network, this.#outside, calm)
    this.#topics = await this.until(prepareTopics(log, topology, specs))
    if (options.guarantee === 'at-least-once' && options.log === 'transactional') return
    this.outputs = new OutputCheck(topology, this.violations, this.queries, await this.#replays())
  }

  async #replays(): Promise<readonly TaskReplay[]> {
    const { topology, broker, counts } = this
    const replays: TaskReplay[] = []
    for (const subTopology of topology.subTopologies) {
      const tasks = taskCountOf(topology, subTopology, counts)
      for (let partition = 0; partition < tasks; partition += 1) {
        const options = this.#taskOptions
        const reference = this.#reference?.({ subTopology: subTopology.number, partition })
        replays.push(
          await TaskReplay.of({
            broker,
            topology,
            subTopology,
            partition,
            partitionCounts: counts,
            options,
            reference,
          }),
        )
      }
    }
    return replays
  }

  #saw(happening: Happening): void {
    const { kind } = happening
    if (kind === 'commit') this.faults.count(`commit ${happening.outcome}`)
    else if (kind === 'store-rebuilt')
      this.faults.count(`rebuilt ${happening.reason.split(':')[0]}`)
    else if (kind === 'restored') {
      if (happening.records > 0) this.faults.count('restored')
    } else if (kind === 'recovering') this.faults.count(`recovering ${codeOf(happening.cause)}`)
    else if (kind === 'rebalance' || kind === 'dead-letter') this.faults.count(kind)
  }
}

function codeOf(error: unknown): string {
  const hasCode = error instanceof Error && 'code' in error
  return hasCode ? String(error.code) : String(error)
}
