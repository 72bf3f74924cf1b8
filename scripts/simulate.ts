/**
 * `bun run simulate`: runs the simulated applications, seed after seed.
 *
 *     bun run simulate --seeds 200000            all of them, from seed 1; progress on stderr
 *     bun run simulate --seeds 5000 --from 9001  the next ones
 *     bun run simulate --seed 42 --trace         one, step by step
 *     --application counting                     only this one; all take turns unless told
 *     --report FILE                              where a long run writes how far it is; the same command goes on from there
 *
 * A failing seed is made smaller and kept in `src/testing/simulation/regressions.txt`, which every test run goes through.
 *
 * Invariant: exit code 0 means that every seed held, that one in fifty gave the same trace a second time, and that every fault
 * has happened.
 */
import { cpus, platform } from 'node:os'
import {
  FAULTS,
  keptLine,
  shrinkSimulation,
  simulate,
  SimulationTally,
  type SimulationReport,
} from '#testing'
import { MUST_HAPPEN, SIMULATED, simulatedBy, type SimulatedTopology } from '#simulated-for-tests'

const REGRESSIONS = new URL('../src/testing/simulation/regressions.txt', import.meta.url).pathname
/** One in so many is run twice, and must give the same trace. */
const REPEAT_EVERY = 50
const REPORT_EVERY_MS = 5_000
const FAILURES_MAX = 6

const { seed, seeds, from, application, report, trace } = flags(process.argv.slice(2))
process.exit(seed === undefined ? await runMany() : await runOne(seed))

function flags(given: readonly string[]): {
  readonly seed: number | undefined
  readonly seeds: number
  readonly from: number
  readonly application: string | undefined
  readonly report: string | undefined
  readonly trace: boolean
} {
  const valueOf = (name: string): string | undefined => {
    const at = given.indexOf(`--${name}`)
    return at < 0 ? undefined : given[at + 1]
  }
  const numberOf = (name: string): number | undefined => {
    const value = valueOf(name)
    if (value === undefined) return undefined
    const number = Number(value)
    if (Number.isSafeInteger(number) && number >= 0) return number
    console.error(`--${name} takes a whole number, not ${value}`)
    process.exit(2)
  }
  return {
    seed: numberOf('seed'),
    seeds: numberOf('seeds') ?? 5_000,
    from: numberOf('from') ?? 1,
    application: valueOf('application'),
    report: valueOf('report'),
    trace: given.includes('--trace'),
  }
}

function applicationOf(number: number): SimulatedTopology {
  if (application === undefined) return simulatedBy(number)
  const found = SIMULATED.find(({ name }) => name === application)
  if (found !== undefined) return found
  console.error(`no application ${application}: there are ${SIMULATED.map(({ name }) => name)}`)
  process.exit(2)
}

function run(number: number, traced: boolean = false): Promise<SimulationReport> {
  const { topology, options } = applicationOf(number)
  const printed = traced ? { trace: (line: string) => console.log(line) } : {}
  return simulate(topology, { ...options, ...printed, seed: number })
}

async function runOne(number: number): Promise<number> {
  const found = await run(number, trace)
  console.log(applicationOf(number).name, JSON.stringify(found.options))
  console.log(Object.fromEntries([...found.fired].sort()))
  for (const { check, what, step, atMs } of found.violations) {
    console.log(`step ${step}, ${atMs.toFixed(1)} ms: ${check}: ${what}`)
  }
  const { steps, traceHash, violations } = found
  console.log(`${steps} steps, trace ${traceHash}, ${violations.length} violations`)
  return violations.length === 0 ? 0 : 1
}

/** What a report file keeps, so that a run that was stopped goes on. */
interface Kept {
  readonly from: number
  readonly seeds: number
  readonly application: string | undefined
  readonly next: number
  readonly elapsedMs: number
  readonly steps: number
  readonly fired: Readonly<Record<string, number>>
  readonly failures: readonly string[]
  readonly commit: string
  readonly machine: string
}

async function runMany(): Promise<number> {
  const kept = await readReport()
  const tally = new SimulationTally()
  for (const [what, times] of Object.entries(kept?.fired ?? {})) tally.count(what, times)
  const failures = [...(kept?.failures ?? [])]
  const stepsBefore = kept?.steps ?? 0
  const startedMs = performance.now() - (kept?.elapsedMs ?? 0)
  const end = from + seeds
  let reportedMs = performance.now()
  let next = kept?.next ?? from
  const state = (): Kept => ({
    from,
    seeds,
    application,
    next,
    elapsedMs: Math.round(performance.now() - startedMs),
    steps: stepsBefore + tally.steps,
    fired: Object.fromEntries([...tally.fired].sort()),
    failures,
    commit: commit(),
    machine: `${platform()}, ${cpus().length} × ${cpus()[0]?.model ?? 'cpu'}, Bun ${Bun.version}`,
  })
  for (; next < end && failures.length < FAILURES_MAX; next += 1) {
    const found = await run(next)
    tally.add(found)
    if (found.violations.length > 0) failures.push(await keep(next, found))
    else if (next % REPEAT_EVERY === 0) {
      const again = await run(next)
      if (again.traceHash !== found.traceHash) {
        failures.push(`${next} is not the same twice: ${found.traceHash}, ${again.traceHash}`)
      }
    }
    if (performance.now() - reportedMs < REPORT_EVERY_MS) continue
    reportedMs = performance.now()
    console.error(progress(state()))
    await writeReport(state())
  }
  await writeReport(state())
  console.error(progress(state()))
  for (const failure of failures) console.log(failure)
  const missing = seeds < 1_000 ? [] : tally.missing(MUST_HAPPEN)
  if (missing.length > 0) console.log(`never happened: ${missing.join(', ')}`)
  console.log(JSON.stringify(Object.fromEntries([...tally.fired].sort()), undefined, 1))
  return failures.length === 0 && missing.length === 0 ? 0 : 1
}

function progress(kept: Kept): string {
  const done = kept.next - kept.from
  const perSecond = (done / (kept.elapsedMs / 1_000)).toFixed(0)
  const bad = kept.failures.length
  return `${done} of ${kept.seeds} seeds, ${perSecond} a second, ${kept.steps} steps, ${bad} failed`
}

/** Makes it smaller, and writes it where it will always run. */
async function keep(number: number, found: SimulationReport): Promise<string> {
  const { name, topology, options } = applicationOf(number)
  const why = `${found.violations[0]?.check}: ${found.violations[0]?.what}`
  console.error(`${name} ${number} failed: ${why}`)
  const shrunk = await shrinkSimulation(topology, { ...options, seed: number })
  const { members, partitions, inputs, steps, faults } = shrunk?.report.options ?? found.options
  const on = FAULTS.filter((fault) => faults[fault] !== undefined)
  const kept = { seed: number, members, partitions, inputs, steps, faults: on }
  const line = keptLine({ name, options: kept }, why.slice(0, 160))
  const text = (await Bun.file(REGRESSIONS).text()).trimEnd()
  await Bun.write(REGRESSIONS, `${text}\n${line}\n`)
  return line
}

async function readReport(): Promise<Kept | undefined> {
  if (report === undefined || !(await Bun.file(report).exists())) return undefined
  const kept = (await Bun.file(report).json()) as Kept
  const isSame = kept.from === from && kept.seeds === seeds && kept.application === application
  if (isSame && kept.next < from + seeds) return kept
  console.error(`${report} is of another run, or of one that is over: name another file`)
  process.exit(2)
}

async function writeReport(state: Kept): Promise<void> {
  if (report !== undefined) await Bun.write(report, `${JSON.stringify(state, undefined, 1)}\n`)
}

function commit(): string {
  const asked = Bun.spawnSync(['git', 'rev-parse', '--short', 'HEAD'])
  return asked.success ? asked.stdout.toString().trim() : 'unknown'
}
