/**
 * `bun run topology`: starts campus, says when it is ready, shows a status line, and stops it on SIGTERM or SIGINT.
 *
 * Invariant: a mistake of the caller is one line and exit code 2, with nothing half started.
 */
import {
  LogError,
  TaskError,
  TopologyError,
  killAtFailpoint,
  noFailpoint,
  systemClock,
  systemRandom,
  type Happening,
} from '#millrace'
import { Campus } from './campus.ts'
import { Demo } from './demo.ts'
import { FlagError, HELP, readFlags, type Flags } from './flags.ts'
import { StartProgress } from './start-progress.ts'
import { statusLine } from './status-line.ts'

const STATUS_MS = 5_000
/** Longer than a start takes on brokers that are well; what it waits for is told this often. */
const SLOW_START_MS = 15_000
const started = performance.now() - process.uptime() * 1000

function complain(error: unknown): number {
  const known = [FlagError, LogError, TaskError, TopologyError].some(
    (kind) => error instanceof kind,
  )
  if (known) console.error(`campus: ${(error as Error).message}`)
  else if (isSystemError(error)) console.error(`campus: ${remedyOf(error)}`)
  else console.error(error)
  return known || isSystemError(error) ? 2 : 1
}

type SystemError = Error & { readonly code: string }
function isSystemError(error: unknown): error is SystemError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' && /^E[A-Z]+$|^SQLITE/.test(code)
}
function remedyOf({ code, message }: SystemError): string {
  if (code === 'EADDRINUSE') return 'the port is taken: choose another with --port, or 0 for any'
  if (code === 'EACCES' || code === 'EROFS' || code === 'EPERM')
    return `${message}: choose another place with --log sqlite:PATH`
  return message
}

function observe(happening: Happening): void {
  if (happening.kind === 'failed')
    console.error(`campus: ${happening.applicationId}:`, happening.error)
  if (happening.kind === 'task-failed')
    console.error(`campus: ${happening.applicationId}: ${happening.error}`)
  if (happening.kind === 'store-rebuilt')
    console.error(
      `campus: ${happening.store} of ${happening.taskId} is rebuilt: ${happening.reason}`,
    )
}

async function run(flags: Flags): Promise<void> {
  const progress = new StartProgress()
  const telling = setInterval(() => {
    const seconds = ((performance.now() - started) / 1000).toFixed(0)
    console.error(`campus: not ready after ${seconds} s: it waits for ${progress}`)
  }, SLOW_START_MS)
  const setting = process.env['MILLRACE_FAILPOINT']
  const kill = (): void => void process.kill(process.pid, 'SIGKILL')
  const starting = Campus.start(flags, {
    clock: systemClock,
    random: systemRandom,
    observer: (happening) => {
      progress.observe(happening)
      observe(happening)
    },
    onStep: (what) => progress.step(what),
    failpoint: setting === undefined ? noFailpoint : killAtFailpoint(setting, kill),
    failpointSetting: setting,
  })
  const startEnded = (): void => {
    clearInterval(telling)
    progress.end()
  }
  starting.then(startEnded, startEnded)
  let demo: Demo | undefined
  let timer: Timer | undefined
  let isStopping = false
  const stop = async (): Promise<void> => {
    // A second signal means: now.
    if (isStopping) process.exit(130)
    isStopping = true
    clearInterval(timer)
    try {
      // What is half started is started first, so that there is one way to stop. If it cannot be, `run` has failed.
      const campus = await starting.catch(() => undefined)
      if (campus === undefined) return
      await demo?.close()
      await campus.close()
      process.exit(0)
    } catch (error) {
      console.error(error)
      process.exit(1)
    }
  }
  process.on('SIGTERM', () => void stop())
  process.on('SIGINT', () => void stop())

  const campus = await starting
  if (isStopping) return
  const seconds = ((performance.now() - started) / 1000).toFixed(2)
  console.log(`campus is ready on ${campus.url} in ${seconds} s`)

  demo = flags.demo ? new Demo(campus.url, systemClock, systemRandom) : undefined
  timer = process.stdout.isTTY
    ? setInterval(() => void statusLine(campus).then(console.log, () => {}), STATUS_MS)
    : undefined
}

try {
  const flags = readFlags(process.argv.slice(2))
  if (flags.help) console.log(HELP)
  else await run(flags)
} catch (error) {
  process.exit(complain(error))
}
