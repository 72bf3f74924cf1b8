/**
 * A proxy that understands enough of Kafka's protocol to lose, hold up, repeat or cut one kind of request or response.
 *
 *     const cluster = await startCluster({ proxied: true })
 *     const proxy = await KafkaProxy.start(cluster.proxied)
 *     const lost = proxy.add({ api: 'EndTxn', side: 'response', action: 'drop', every: 10 })
 *     await openLog(`kafka://${proxy.bootstrap}`)
 *     …
 *     expect(lost.fired).toBeGreaterThan(0)
 *
 * Brokers that were started `proxied` send whoever comes by the proxy back to it: nothing is rewritten.
 *
 * Invariant: a request passes at most one rule, the first that takes it; without rules the proxy changes nothing.
 */
import { createServer, type AddressInfo, type Server } from 'node:net'
import { ProxiedConnection } from './connection.ts'
import { Rule, type RuleOptions } from './rule.ts'

export type { ApiName, RequestHeader } from './requests.ts'
export { Rule } from './rule.ts'
export type { RuleOptions } from './rule.ts'

/** Where clients come, and where the broker is. Port 0 takes a free one. */
export interface ProxiedPort {
  readonly listen: number
  readonly target: number
}

const HOST = '127.0.0.1'

export class KafkaProxy {
  readonly #servers: Server[] = []
  readonly #connections = new Set<ProxiedConnection>()
  #rules: readonly Rule[] = []

  static async start(ports: readonly ProxiedPort[]): Promise<KafkaProxy> {
    const proxy = new KafkaProxy()
    for (const port of ports) await proxy.#listen(port)
    return proxy
  }

  /** `host:port,…` as clients are to be told. */
  get bootstrap(): string {
    return this.#servers
      .map((server) => `${HOST}:${(server.address() as AddressInfo).port}`)
      .join(',')
  }

  /** The newest comes last: a rule before it that takes a request keeps it. */
  add(options: RuleOptions): Rule {
    const rule = new Rule(options)
    this.#rules = [...this.#rules, rule]
    return rule
  }

  /** Nothing is touched any more; what is held up arrives. */
  heal(): void {
    for (const rule of this.#rules) rule.end()
    this.#rules = []
  }

  async close(): Promise<void> {
    for (const connection of this.#connections) connection.end()
    await Promise.all(
      this.#servers.map((server) => new Promise((resolve) => server.close(resolve))),
    )
  }

  async #listen({ listen, target }: ProxiedPort): Promise<void> {
    const server = createServer((client) => {
      const connection = new ProxiedConnection(client, target, HOST, () => this.#rules)
      this.#connections.add(connection)
      connection.onEnd(() => this.#connections.delete(connection))
    })
    this.#servers.push(server)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ port: listen, host: HOST }, () => resolve())
    })
  }
}
