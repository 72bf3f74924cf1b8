/**
 * Clusters of real Apache Kafka brokers on this machine, each in a folder of its own.
 *
 * Invariant: a folder is removed, and a process ended, only if this code made it; `cluster.json` is what tells.
 */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { Broker } from './broker.ts'
import { freePorts, isFree } from './free-ports.ts'
import { kafkaJars } from './jars.ts'
import { listenersOf } from './listeners.ts'
import type { Listener } from './listeners.ts'
import { identify, isAlive } from './process-identity.ts'
import type { ProcessIdentity } from './process-identity.ts'
import { certificatesIn, makeCertificates, scramArguments } from './security.ts'
import type { Certificates } from './security.ts'
import { HOST, addresses, initialControllers, serverProperties } from './settings.ts'
import type { BrokerPlan, ClusterPlan } from './settings.ts'

export interface ClusterOptions {
  /** 1 by default; 3 for replication 3 and min ISR 2. */
  readonly brokers?: number
  /** Where everything is kept; a new folder under the system's temporary one by default. */
  readonly dir?: string
  /** Port of the first broker; the others follow. Free ones by default. */
  readonly port?: number
  readonly sasl?: boolean
  readonly tls?: boolean
  /** A listener whose clients are sent to the ports of a proxy: `cluster.proxied`, `proxy/proxy.ts`. */
  readonly proxied?: boolean
  readonly heapMaxMb?: number
  /** Broker settings beside or instead of those of `settings.ts`. */
  readonly settings?: Readonly<Record<string, string>>
  /** The cluster outlives this process. Otherwise it is taken down when this process ends. */
  readonly detached?: boolean
}

interface ClusterFile {
  readonly plan: ClusterPlan
  readonly heapMaxMb: number
  readonly owner?: ProcessIdentity
}

export interface BrokerStatus {
  readonly id: number
  readonly address: string
  readonly pid: number | undefined
}

const FILE = 'cluster.json'
const TEMPORARY = 'millrace-kafka-'
const HEAP_MAX_MB = 384
const GUARD = join(import.meta.dir, 'guard.ts')

export class Cluster {
  readonly dir: string
  /** `host:port,…` without encryption or names; whoever comes here may do everything. */
  readonly bootstrap: string
  /** Listeners of `sasl` and `tls` clusters; undefined where not asked for. */
  readonly bootstrapSasl: string | undefined
  readonly bootstrapTls: string | undefined
  readonly bootstrapMutualTls: string | undefined
  readonly bootstrapSaslTls: string | undefined
  readonly #brokers: ReadonlyMap<number, Broker>
  readonly #file: ClusterFile
  readonly #onDown: () => void

  constructor(dir: string, file: ClusterFile, onDown: () => void = () => {}) {
    this.dir = dir
    this.#file = file
    this.#onDown = onDown
    const { plan } = file
    this.#brokers = new Map(plan.brokers.map(({ id }) => [id, new Broker(dir, id)]))
    this.bootstrap = addresses(plan, 'PLAINTEXT') ?? ''
    this.bootstrapSasl = addresses(plan, 'SASL')
    this.bootstrapTls = addresses(plan, 'TLS')
    this.bootstrapMutualTls = addresses(plan, 'MTLS')
    this.bootstrapSaslTls = addresses(plan, 'SASL_TLS')
  }

  get brokerIds(): number[] {
    return [...this.#brokers.keys()]
  }

  /** For each broker where a proxy has to listen, and where the broker then expects it; none unless `proxied`. */
  get proxied(): readonly { readonly listen: number; readonly target: number }[] {
    return this.#file.plan.brokers.flatMap(({ ports, proxyPort }) =>
      ports.PROXIED === undefined || proxyPort === undefined
        ? []
        : [{ listen: proxyPort, target: ports.PROXIED }],
    )
  }

  get certificates(): Certificates {
    return certificatesIn(securityFolder(this.dir))
  }

  /** Writes the files of a new cluster, formats its folders and starts its brokers. */
  async create(jars: string): Promise<void> {
    const { plan, heapMaxMb } = this.#file
    const security = securityFolder(this.dir)
    if (plan.tls) await makeCertificates(security)
    await Promise.all(
      plan.brokers.map(async (brokerPlan) => {
        const broker = this.#broker(brokerPlan.id)
        const { dataFolder } = broker
        await broker.writeProperties(serverProperties(plan, brokerPlan, dataFolder, security))
        const quorum = ['--initial-controllers', initialControllers(plan)]
        const users = plan.sasl ? scramArguments() : []
        await broker.format(jars, ['--cluster-id', plan.clusterId, ...quorum, ...users])
        await broker.start(jars, heapMaxMb)
      }),
    )
  }

  /** `kill -9`; false if it was not running. */
  async kill(id: number): Promise<boolean> {
    return await this.#broker(id).kill()
  }

  /** Starts a broker again on its data and waits until it serves. */
  async start(id: number): Promise<void> {
    await this.#broker(id).start(await kafkaJars(), this.#file.heapMaxMb)
  }

  /** A clean shutdown: its leaders move to the others first. */
  async terminate(id: number): Promise<boolean> {
    return await this.#broker(id).terminate()
  }

  /** SIGSTOP: connections stay open and nobody answers. */
  async stop(id: number): Promise<boolean> {
    return await this.#broker(id).signal('SIGSTOP')
  }

  /** SIGCONT. */
  async cont(id: number): Promise<boolean> {
    return await this.#broker(id).signal('SIGCONT')
  }

  async status(): Promise<BrokerStatus[]> {
    return await Promise.all(
      this.#file.plan.brokers.map(async ({ id, ports }) => ({
        id,
        address: `${HOST}:${ports.PLAINTEXT}`,
        pid: (await this.#broker(id).process())?.pid,
      })),
    )
  }

  logFile(id: number): string {
    return this.#broker(id).logFile
  }

  /** Ends every broker and removes the folder with the data. */
  async down(): Promise<void> {
    await Promise.all([...this.#brokers.values()].map((broker) => broker.kill()))
    await rm(this.dir, { recursive: true, force: true })
    this.#onDown()
  }

  #broker(id: number): Broker {
    const broker = this.#brokers.get(id)
    if (broker === undefined)
      throw new Error(`no broker ${id}; there are ${this.brokerIds.join(', ')}`)
    return broker
  }
}

/** Starts brokers and waits until all of them serve requests: 3 to 15 s. */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const jars = await kafkaJars()
  await removeAbandoned()
  const plan = await makePlan(options)
  const dir = await newFolder(options.dir)
  const owner = options.detached === true ? undefined : await identify(process.pid, '')
  const heapMaxMb = options.heapMaxMb ?? HEAP_MAX_MB
  const file: ClusterFile = { plan, heapMaxMb, ...(owner === undefined ? {} : { owner }) }
  await writeFile(join(dir, FILE), JSON.stringify(file, null, 2))
  const cluster = new Cluster(dir, file, owner === undefined ? undefined : guard(dir))
  try {
    await cluster.create(jars)
  } catch (error) {
    await cluster.down()
    throw error
  }
  return cluster
}

/** The cluster that was started in `dir`, running or not; undefined if there is none. */
export async function openCluster(dir: string): Promise<Cluster | undefined> {
  const file = await readClusterFile(resolve(dir))
  return file === undefined ? undefined : new Cluster(resolve(dir), file)
}

async function readClusterFile(dir: string): Promise<ClusterFile | undefined> {
  const text = await readFile(join(dir, FILE), 'utf8').catch(() => undefined)
  return text === undefined ? undefined : (JSON.parse(text) as ClusterFile)
}

/**
 * A process that sees this one end, however it ends, by the pipe between them, and takes the cluster down. What is given lets it
 * go before.
 */
function guard(dir: string): () => void {
  const { BUN_FEATURE_FLAG_NO_ORPHANS: _, ...env } = process.env
  const options = { stdout: 'ignore', stderr: 'ignore', env, detached: true } as const
  const child = Bun.spawn([process.execPath, GUARD, dir], { stdin: 'pipe', ...options })
  child.unref()
  return () => void child.stdin.end()
}

/** Takes down what processes left behind that are gone, and their guards with them. */
export async function removeAbandoned(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    if (!name.startsWith(TEMPORARY)) continue
    const dir = join(tmpdir(), name)
    const file = await readClusterFile(dir).catch(() => undefined)
    if (file?.owner === undefined || (await isAlive(file.owner, ''))) continue
    await new Cluster(dir, file).down()
  }
}

async function newFolder(given: string | undefined): Promise<string> {
  if (given === undefined) return await mkdtemp(join(tmpdir(), TEMPORARY))
  const dir = resolve(given)
  if (existsSync(join(dir, FILE))) throw new Error(`${dir} holds a cluster already`)
  await mkdir(dir, { recursive: true })
  if ((await readdir(dir)).length > 0) throw new Error(`${dir} is not empty`)
  return dir
}

async function makePlan(options: ClusterOptions): Promise<ClusterPlan> {
  const { brokers: count = 1, sasl = false, tls = false, proxied = false } = options
  const listeners = listenersOf({ sasl, tls, proxied })
  const free = await freePorts(count * (listeners.length + 1), HOST)
  const brokers: BrokerPlan[] = []
  for (let index = 0; index < count; index += 1) {
    const ports: Partial<Record<Listener, number>> = {}
    for (const listener of listeners) {
      const fixed = listener === 'PLAINTEXT' && options.port !== undefined && options.port !== 0
      ports[listener] = fixed ? (options.port ?? 0) + index : (free.pop() ?? 0)
      if (fixed && !(await isFree(ports[listener], HOST)))
        throw new Error(`port ${ports[listener]} is in use; --port 0 takes a free one`)
    }
    const proxyPort = proxied ? free.pop() : undefined
    const plan = { id: index + 1, directoryId: uuid(), ports }
    brokers.push(proxyPort === undefined ? plan : { ...plan, proxyPort })
  }
  return { clusterId: uuid(), sasl, tls, proxied, brokers, settings: options.settings ?? {} }
}

/** 16 bytes in Kafka's URL-safe base64; one that looks like an option would trouble its tools. */
function uuid(): string {
  for (;;) {
    const text = randomBytes(16).toString('base64url')
    if (!text.startsWith('-')) return text
  }
}

function securityFolder(dir: string): string {
  return join(dir, 'security')
}
