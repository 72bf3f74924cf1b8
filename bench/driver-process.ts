/** A bench's own side as a program, measured as a whole process, as Java's is. */
import { join } from 'node:path'
import type { Sample } from './rounds.ts'

export interface DriverRun extends Pick<Sample, 'cpuMs' | 'wallMs'> {
  /** What it printed. */
  readonly told: string
}

/** `program` is a file of this folder. */
export async function runDriver(program: string, ...given: readonly string[]): Promise<DriverRun> {
  const startedMs = performance.now()
  const child = Bun.spawn([process.execPath, join(import.meta.dir, program), ...given], {
    stdout: 'pipe',
    stderr: 'inherit',
  })
  const told = await child.stdout.text()
  if ((await child.exited) !== 0) throw new Error(`${program} has failed`)
  const wallMs = performance.now() - startedMs
  const { user, system } = child.resourceUsage()?.cpuTime ?? { user: 0n, system: 0n }
  return { cpuMs: Number(BigInt(user) + BigInt(system)) / 1_000, wallMs, told }
}
