/**
 * Java and what Maven fetches for it: jars land in a cache folder outside the tree, once for each content of a pom.
 *
 * Invariant: a folder under its final name is complete, since it was filled under another name and then renamed.
 */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'

export const KAFKA_VERSION = '4.3.1'
const JAVA_MAJOR = 17
const POM = join(import.meta.dir, 'pom.xml')
const LOGGING = join(import.meta.dir, 'log4j2.properties')

/** What stands in the way of running Kafka here, in one line. */
export class KafkaUnavailable extends Error {
  override readonly name = 'KafkaUnavailable'
}

function cacheFolder(): string {
  const base = process.env['XDG_CACHE_HOME']
  return join(base === undefined || base === '' ? join(homedir(), '.cache') : base, 'millrace')
}

/** A folder with the jars of Kafka's broker and tools, fetched where it is missing. */
export async function kafkaJars(): Promise<string> {
  await requireJava()
  return await mavenFolder(`kafka-${KAFKA_VERSION}`, POM, (output) => [
    'dependency:copy-dependencies',
    '-DincludeScope=runtime',
    `-DoutputDirectory=${output}`,
  ])
}

/** Runs Maven's `goals` into a cache folder named after the pom's content and `alsoRead`; an existing one is taken as it is. */
export async function mavenFolder(
  name: string,
  pom: string,
  goals: (output: string) => readonly string[],
  alsoRead: readonly string[] = [],
): Promise<string> {
  const hash = createHash('sha256')
  for (const file of [pom, ...alsoRead]) hash.update(await readFile(file))
  const folder = join(cacheFolder(), `${name}-${hash.digest('hex').slice(0, 8)}`)
  if (existsSync(folder)) return folder
  if (Bun.which('mvn') === null) throw unavailable('Maven (mvn) is missing')
  await mkdir(dirname(folder), { recursive: true })
  const filling = await mkdtemp(`${folder}.filling-`)
  try {
    const maven = Bun.spawn(['mvn', '-q', '-B', '-ntp', '-f', pom, ...goals(filling)], {
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    })
    const [output, errors, code] = await Promise.all([
      maven.stdout.text(),
      maven.stderr.text(),
      maven.exited,
    ])
    if (code !== 0) throw unavailable(`Maven failed: ${firstError(output + errors)}`)
    await rename(filling, folder).catch((error: unknown) => {
      // Another process was faster: its folder holds the same.
      if (!existsSync(folder)) throw error
    })
  } finally {
    await rm(filling, { recursive: true, force: true })
  }
  return folder
}

async function requireJava(): Promise<void> {
  if (Bun.which('java') === null) throw unavailable(`Java ${JAVA_MAJOR} is missing`)
  const child = Bun.spawn(['java', '-version'], { stdout: 'ignore', stderr: 'pipe' })
  const said = await child.stderr.text()
  const major = Number(/version "(\d+)/.exec(said)?.[1] ?? 0)
  if (major < JAVA_MAJOR) throw unavailable(`Java ${JAVA_MAJOR} or later is needed, not ${major}`)
}

function unavailable(what: string): KafkaUnavailable {
  return new KafkaUnavailable(`${what}; or run \`docker compose --profile kafka up kafka\` instead`)
}

function firstError(output: string): string {
  return /\[ERROR\]\s*(.+)/.exec(output)?.[1] ?? output.trim().split('\n')[0] ?? 'no word'
}

export interface JavaOptions {
  readonly heapMaxMb: number
  /** Starts sooner, at the price of slower code later. */
  readonly isShortRun?: boolean
  readonly properties?: Readonly<Record<string, string>>
}

/** The command line that runs `mainClass` of the jars in `folder`. */
export function javaCommand(
  folder: string,
  mainClass: string,
  args: readonly string[],
  options: JavaOptions,
): string[] {
  const properties = { 'log4j2.configurationFile': LOGGING, ...options.properties }
  return [
    'java',
    `-Xmx${options.heapMaxMb}m`,
    '-XX:+UseSerialGC',
    ...(options.isShortRun === true ? ['-XX:TieredStopAtLevel=1'] : []),
    '-Djava.awt.headless=true',
    ...Object.entries(properties).map(([name, value]) => `-D${name}=${value}`),
    '-cp',
    join(folder, '*'),
    mainClass,
    ...args,
  ]
}
