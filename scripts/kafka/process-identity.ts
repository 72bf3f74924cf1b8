/**
 * Whether a process id still means the process that was started: its start time and command line say so.
 *
 * Invariant: nothing is ever signalled by its number alone; a reused number, or one of another machine, is "gone".
 */
import { readFile } from 'node:fs/promises'

export interface ProcessIdentity {
  readonly pid: number
  readonly started: string
}

/** Where the start time stands behind the command's name, which is in parentheses and may hold spaces (proc_pid_stat(5)). */
const START_TIME_FIELD = 19
const STATE_FIELD = 0

/** The running process `pid`, if its command line holds `mark`. */
export async function identify(pid: number, mark: string): Promise<ProcessIdentity | undefined> {
  const found = process.platform === 'linux' ? await fromProc(pid) : await fromPs(pid)
  if (found === undefined || !found.command.includes(mark)) return undefined
  return { pid, started: found.started }
}

export async function isAlive(known: ProcessIdentity, mark: string): Promise<boolean> {
  return (await identify(known.pid, mark))?.started === known.started
}

interface Found {
  readonly started: string
  readonly command: string
}

async function fromProc(pid: number): Promise<Found | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (fields[STATE_FIELD] === 'Z' || fields[STATE_FIELD] === 'X') return undefined
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8')
    return { started: fields[START_TIME_FIELD] ?? '', command: command.replaceAll('\0', ' ') }
  } catch {
    return undefined
  }
}

async function fromPs(pid: number): Promise<Found | undefined> {
  const child = Bun.spawn(['ps', '-o', 'lstart=,command=', '-p', String(pid)], {
    stdout: 'pipe',
    stderr: 'ignore',
    env: { ...process.env, LC_ALL: 'C' },
  })
  // `Wed Nov 25 00:41:16 2026 java …`: the start is always 24 letters long.
  const line = (await child.stdout.text()).trim()
  if (line === '') return undefined
  return { started: line.slice(0, 24), command: line.slice(25) }
}
