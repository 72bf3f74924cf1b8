/**
 * Runs one of Kafka's own command line tools as a child process.
 *
 * Invariant: settings reach a tool by a file, so that no secret shows on a command line.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { javaCommand, kafkaJars } from './jars.ts'

/** Logging of processes that have their standard output for what they are asked. */
export const TOOL_LOGGING: string = join(import.meta.dir, 'log4j2-tools.properties')

/** Client settings by Kafka's names: `security.protocol`, `sasl.jaas.config` and so on. */
export type ClientSettings = Readonly<Record<string, string>>

export interface ToolCall {
  /** Below `org.apache.kafka.tools`. */
  readonly tool: string
  readonly args: readonly string[]
  readonly settings?: ClientSettings | undefined
  readonly input?: Blob | undefined
  readonly heapMaxMb?: number | undefined
  /** For a tool whose speed is the point: without it Java compiles quickly, not well. */
  readonly isLongRun?: boolean
}

export type ToolProcess = Bun.Subprocess<Blob | 'ignore', 'pipe', 'pipe'>

export interface RunningTool {
  readonly child: ToolProcess
  /** Everything it said on its standard error, once it has ended. */
  readonly errors: Promise<string>
  /** Kills it if it still runs, and removes its settings. */
  close(): Promise<void>
}

export interface ToolResult {
  readonly output: string
  readonly errors: string
  /** Of the whole process, Java's start included. */
  readonly cpuMs: { readonly user: number; readonly system: number }
  readonly memoryPeakBytes: number
}

export async function startTool(call: ToolCall): Promise<RunningTool> {
  const { tool, args, settings = {}, input, heapMaxMb = 512, isLongRun = false } = call
  const jars = await kafkaJars()
  const folder = await mkdtemp(join(tmpdir(), 'millrace-tool-'))
  const file = join(folder, 'client.properties')
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`)
  await writeFile(file, lines.join(''), { mode: 0o600 })
  const command = javaCommand(
    jars,
    `org.apache.kafka.tools.${tool}`,
    // In front: some tools have commands below them, and take no option of theirs behind one.
    ['--command-config', file, ...args],
    { heapMaxMb, isShortRun: !isLongRun, properties: { 'log4j2.configurationFile': TOOL_LOGGING } },
  )
  const stdin = input ?? 'ignore'
  const child = Bun.spawn(command, { stdin, stdout: 'pipe', stderr: 'pipe' })
  const errors = child.stderr.text()
  const close = async (): Promise<void> => {
    if (child.exitCode === null) child.kill('SIGKILL')
    await child.exited
    await rm(folder, { recursive: true, force: true })
  }
  return { child, errors, close }
}

/** Runs it to its end; a failure is an error that carries what it said. */
export async function runTool(call: ToolCall): Promise<ToolResult> {
  const running = await startTool(call)
  try {
    const [output, errors, code] = await Promise.all([
      running.child.stdout.text(),
      running.errors,
      running.child.exited,
    ])
    if (code !== 0) throw new Error(`${call.tool} failed (${code}): ${(errors + output).trim()}`)
    const usage = running.child.resourceUsage()
    const ms = (microseconds: number | bigint = 0): number => Number(microseconds) / 1_000
    const cpuMs = { user: ms(usage?.cpuTime.user), system: ms(usage?.cpuTime.system) }
    return { output, errors, cpuMs, memoryPeakBytes: usage?.maxRSS ?? 0 }
  } finally {
    await running.close()
  }
}

/** `--name value` for each. */
export function flags(values: Readonly<Record<string, string | number>>): string[] {
  return Object.entries(values).flatMap(([name, value]) => [`--${name}`, String(value)])
}
