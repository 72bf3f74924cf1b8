/** What a figure is worth nothing without: the machine, the versions and the commit it was measured with. */
import { cpus, freemem, loadavg, platform, release, totalmem } from 'node:os'

export interface Machine {
  readonly processor: string
  readonly cores: number
  readonly memoryGb: number
  readonly system: string
  readonly bun: string
  /** With `+` behind it where files differ from the commit. */
  readonly commit: string
  readonly at: string
  readonly loadAverage: number
  readonly freeGb: number
}

export function machine(): Machine {
  const [first, ...others] = cpus()
  return {
    processor: first?.model ?? 'unknown',
    cores: others.length + 1,
    memoryGb: gigabytes(totalmem()),
    system: `${platform()} ${release()}`,
    bun: `${Bun.version} (${Bun.revision.slice(0, 9)})`,
    commit: commit(),
    at: new Date().toISOString(),
    loadAverage: Math.round((loadavg()[0] ?? 0) * 10) / 10,
    freeGb: gigabytes(freemem()),
  }
}

function gigabytes(bytes: number): number {
  return Math.round(bytes / 2 ** 30)
}

function commit(): string {
  const git = (...args: readonly string[]): string =>
    Bun.spawnSync(['git', ...args], { cwd: import.meta.dir, stderr: 'ignore' }).stdout.toString()
  const hash = git('rev-parse', '--short=10', 'HEAD').trim()
  if (hash === '') return 'unknown'
  return git('status', '--porcelain', '--untracked-files=no') === '' ? hash : `${hash}+`
}
