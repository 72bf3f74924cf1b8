/**
 * The entry of a thread that runs workers: one of each application of the process.
 *
 * Invariant: it never ends by itself while it hosts a worker; an error that no worker catches ends the thread, and with it the
 * process (R17), because what it held in the log's file would live on.
 */
import { connectLog, type Log } from '#log'
import { killAtFailpoint, noFailpoint, systemClock, systemRandom, type Failpoint } from '#system'
import { createBackends } from './backends.ts'
import { loadTopology } from './load-topology.ts'
import { hostHere, type WorkerHost } from './worker-host.ts'
import {
  sendableHappening,
  sendError,
  type FromThread,
  type ThreadSetup,
  type ToThread,
} from './worker-messages.ts'

/** How old the numbers may be that `Streams.metrics` shows of another thread. */
const METRICS_INTERVAL_MS = 250

declare const self: {
  onmessage: ((event: { readonly data: ToThread }) => void) | null
  postMessage(message: FromThread): void
}

const hosts = new Map<number, WorkerHost>()
let connecting: Promise<Log> | undefined
let failpoint: Failpoint = noFailpoint

self.onmessage = ({ data }) => {
  switch (data.kind) {
    case 'connect':
      if (data.failpoint !== undefined) {
        failpoint = killAtFailpoint(data.failpoint, () => process.kill(process.pid, 'SIGKILL'))
      }
      connecting = connectLog(
        { ...data.share, transfer: [] },
        { clock: systemClock, random: systemRandom, failpoint },
      )
      break
    case 'host':
      void host(data.host, data.setup)
      break
    case 'stop':
      hosts.get(data.host)?.stop(data.leave)
      break
    case 'ask':
      void ask(data)
      break
    case 'quit':
      void quit()
  }
}

async function host(id: number, setup: ThreadSetup): Promise<void> {
  let error: unknown
  let hosted: WorkerHost | undefined
  try {
    hosted = await start(id, setup)
    hosts.set(id, hosted)
    report(id, hosted)
    await hosted.ended
  } catch (cause) {
    error = cause
  }
  if (hosted !== undefined) tell(id, hosted)
  hosts.delete(id)
  self.postMessage({
    kind: 'ended',
    host: id,
    error: error === undefined ? undefined : sendError(error),
  })
}

async function start(id: number, setup: ThreadSetup): Promise<WorkerHost> {
  const { topology: source, folder, backend, heldBefore, ...same } = setup
  const log = await connecting
  if (log === undefined) throw new TypeError('a thread is connected before it hosts')
  const topology = await loadTopology(source)
  return hostHere({
    ...same,
    log,
    topology,
    backends: createBackends({ folder, backend }),
    machine: {
      clock: systemClock,
      random: systemRandom,
      failpoint,
      observer: (happening) => {
        self.postMessage({ kind: 'happening', host: id, happening: sendableHappening(happening) })
      },
    },
    heldBefore: () => heldBefore,
    remember: (positions) => self.postMessage({ kind: 'remember', host: id, positions }),
    onState: (state) => self.postMessage({ kind: 'state', host: id, state }),
  })
}

/** Again and again while the worker is here. */
function report(id: number, hosted: WorkerHost): void {
  if (hosts.get(id) !== hosted) return
  tell(id, hosted)
  systemClock.after(METRICS_INTERVAL_MS, () => report(id, hosted))
}

function tell(id: number, hosted: WorkerHost): void {
  self.postMessage({
    kind: 'metrics',
    host: id,
    metrics: hosted.metrics(),
    owners: hosted.owners(),
  })
}

async function ask({ host: id, call, question }: ToThread & { kind: 'ask' }): Promise<void> {
  try {
    const replies = (await hosts.get(id)?.ask(question)) ?? []
    self.postMessage({ kind: 'reply', call, replies })
  } catch (error) {
    self.postMessage({ kind: 'refusal', call, error: sendError(error) })
  }
}

async function quit(): Promise<void> {
  await (await connecting)?.close()
  // Ends this thread only: `self.close()` leaves it alive for as long as anything in it might.
  process.exit(0)
}
