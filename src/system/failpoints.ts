/**
 * Named places where a drill may kill the process: a driver or the runtime passes each by name, and by default nothing happens.
 *
 * Invariant: a failpoint has no effect on what the program does other than that the program may end there.
 */
export type Failpoint = (name: string) => void

export const noFailpoint: Failpoint = () => {}

/**
 * Reads `layer:name:nth`, or `layer:name` for the first time: the process ends itself with SIGKILL when it passes that name
 * for the nth time (from 1).
 * The command line hands in MILLRACE_FAILPOINT; nothing else reads it.
 */
export function killAtFailpoint(setting: string, kill: () => void): Failpoint {
  const [, name = setting, nth = '1'] = /^(.*?)(?::(\d+))?$/.exec(setting) ?? []
  let remaining = Number(nth)
  return (passed) => {
    if (passed !== name) return
    remaining -= 1
    if (remaining === 0) kill()
  }
}
