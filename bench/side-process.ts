/**
 * A side in a process of its own. Where a side keeps a million strings alive, collecting garbage costs whoever shares its
 * process, so that only processes can be compared.
 *
 * Run as a program, this file is that process: it does a round for each message, and answers with its sample.
 */
import { sideOf } from './end-to-end.ts'
import { openBenchLog, type LogKind } from './logs.ts'
import { PROGRAMS, type ProgramName } from './programs.ts'
import type { Round, Sample, Side } from './rounds.ts'

export function sideInProcess(
  program: ProgramName,
  log: LogKind,
  isSmoke: boolean,
  name: string,
): Side {
  let answer: (sample: Sample) => void = () => {}
  const child = Bun.spawn(
    [process.execPath, import.meta.path, program, log, isSmoke ? 'smoke' : 'full', name],
    { ipc: (sample: Sample) => answer(sample), stdout: 'inherit', stderr: 'inherit' },
  )
  return {
    name,
    async round(round) {
      const { promise, resolve, reject } = Promise.withResolvers<Sample>()
      answer = resolve
      child.send(round)
      void child.exited.then(() => reject(new Error(`the process of ${name} has ended`)))
      return promise
    },
    async close() {
      child.disconnect()
      await child.exited
    },
  }
}

async function serve(given: readonly string[]): Promise<void> {
  const [program = 'reserve', logKind = 'memory', size, name = ''] = given
  const { program: found } = PROGRAMS[program as ProgramName](size === 'smoke')
  const { log, close } = await openBenchLog(logKind as LogKind)
  const side = await sideOf(found, log, name)
  process.on('message', (round: Round) => {
    void side.round(round).then((sample) => process.send?.(sample))
  })
  process.on('disconnect', () => {
    void side
      .close()
      .then(close)
      .then(() => process.exit(0))
  })
}

if (import.meta.main) await serve(process.argv.slice(2))
