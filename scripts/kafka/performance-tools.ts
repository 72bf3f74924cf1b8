/**
 * `kafka-producer-perf-test` and `kafka-consumer-perf-test`, with what they take of the machine.
 *
 * Invariant: rates are the tools' own; CPU and memory are of the whole process, Java's start included.
 */
import { flags, runTool } from './java-tool.ts'
import type { ClientSettings, ToolResult } from './java-tool.ts'

export interface PerformanceResult extends Pick<ToolResult, 'cpuMs' | 'memoryPeakBytes'> {
  readonly records: number
  readonly recordsPerSecond: number
}

export interface ProducerPerformanceOptions {
  readonly bootstrap: string
  readonly topic: string
  readonly records: number
  readonly recordBytes: number
  /** Such as `linger.ms` and `batch.size`. */
  readonly settings?: ClientSettings
}

export async function producerPerformance(
  options: ProducerPerformanceOptions,
): Promise<PerformanceResult> {
  const { bootstrap, topic, records, recordBytes, settings } = options
  const { output, cpuMs, memoryPeakBytes } = await runTool({
    tool: 'ProducerPerformance',
    args: flags({
      'bootstrap-server': bootstrap,
      topic,
      throughput: -1,
      'num-records': records,
      'record-size': recordBytes,
    }),
    settings,
    isLongRun: true,
  })
  // The last line is the total; those before it are of an interval each.
  const [, sent, rate] =
    [...output.matchAll(/(\d+) records sent, ([\d.]+) records\/sec/g)].at(-1) ?? []
  if (Number(sent) !== records)
    throw new Error(`${sent} of ${records} records were sent: ${output}`)
  return { records, recordsPerSecond: Number(rate), cpuMs, memoryPeakBytes }
}

export interface ConsumerPerformanceOptions {
  readonly bootstrap: string
  readonly topic: string
  readonly records: number
  /** A new one by default. */
  readonly group?: string
  /** Such as `isolation.level` and `check.crcs`. */
  readonly settings?: ClientSettings
}

/** The rate is that of fetching, without the wait for an assignment. */
export async function consumerPerformance(
  options: ConsumerPerformanceOptions,
): Promise<PerformanceResult> {
  const { bootstrap, topic, records, group, settings } = options
  const { output, cpuMs, memoryPeakBytes } = await runTool({
    tool: 'ConsumerPerformance',
    args: flags({
      'bootstrap-server': bootstrap,
      topic,
      'num-records': records,
      timeout: 30_000,
      ...(group === undefined ? {} : { group }),
    }),
    settings,
    isLongRun: true,
  })
  const [head = '', line = ''] = output.trim().split('\n').slice(-2)
  const names = head.split(',').map((name) => name.trim())
  const fields = line.split(',').map((field) => field.trim())
  const field = (name: string): number => Number(fields[names.indexOf(name)])
  const read = field('data.consumed.in.nMsg')
  // The tool counts what its last poll brought, which may be more than it was asked for.
  if (!(read >= records)) throw new Error(`${read} of ${records} records were read: ${output}`)
  return { records: read, recordsPerSecond: field('fetch.nMsg.sec'), cpuMs, memoryPeakBytes }
}
