/**
 * `bun run bench [name…]`: measures, prints every figure with what it takes to believe it, and says which floors hold.
 * A name stands for its bench, or for all that begin with it where there is none. `--smoke` runs everything small: whether
 * it works, not how fast it is.
 * `--report FILE` writes the figures as Markdown, `--rounds N` counts that many rounds instead of nine.
 * What begins with `kafka-` starts a real broker, and runs only if it is named.
 */
import { BENCHES, type Scale } from './benches.ts'
import { KAFKA_BENCHES } from './kafka-benches.ts'
import { holds, type Figure } from './figure.ts'
import { machine } from './machine.ts'
import { figureLine, report } from './report.ts'

const SMOKE = '--smoke'
const ALL = { ...BENCHES, ...KAFKA_BENCHES }
const HELP = `bun run bench [name…] [--smoke] [--rounds N] [--report FILE]

${Object.keys(ALL).join('\n')}`

interface Arguments {
  readonly names: readonly string[]
  readonly scale: Scale
  readonly reportFile: string | undefined
}

function stands(given: string, name: string): boolean {
  return Object.hasOwn(ALL, given) ? name === given : name.startsWith(given)
}

function readArguments(given: readonly string[]): Arguments {
  const rest = [...given]
  const option = (name: string): string | undefined => {
    const at = rest.indexOf(name)
    return at < 0 ? undefined : rest.splice(at, 2)[1]
  }
  const rounds = Number(option('--rounds') ?? 9)
  const reportFile = option('--report')
  const isSmoke = rest.includes(SMOKE)
  const prefixes = rest.filter((each) => each !== SMOKE)
  const names = Object.keys(ALL)
  const unknown = prefixes.find((prefix) => !names.some((name) => name.startsWith(prefix)))
  if (unknown !== undefined || !(rounds > 0)) {
    console.log(HELP)
    process.exit(unknown === '--help' ? 0 : 2)
  }
  return {
    names:
      prefixes.length === 0
        ? Object.keys(BENCHES)
        : names.filter((name) => prefixes.some((prefix) => stands(prefix, name))),
    scale: isSmoke
      ? { isSmoke, rounds: { counted: 1, warmUps: 1 } }
      : { isSmoke, rounds: { counted: rounds, warmUps: 4 } },
    reportFile,
  }
}

const { names, scale, reportFile } = readArguments(process.argv.slice(2))
const here = machine()
console.log(Object.values(here).join(', '))
const figures: Figure[] = []
for (const name of names) {
  const found = (await ALL[name]?.(scale)) ?? []
  for (const figure of found) console.log(figureLine(figure, scale))
  figures.push(...found)
}
if (reportFile !== undefined) await Bun.write(reportFile, report(here, figures))
const missed = scale.isSmoke ? [] : figures.filter((figure) => holds(figure) === false)
for (const figure of missed) console.log(`does not hold: ${figureLine(figure, scale)}`)
// Campus's library and mitata may leave timers behind.
process.exit(missed.length === 0 ? 0 : 1)
