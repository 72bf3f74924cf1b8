/** Posts over kept connections with as little work as it takes, so that what is measured is the server. */

export interface Burst {
  readonly seconds: number
  readonly latenciesMs: readonly number[]
  /** Answers by status code. */
  readonly statuses: ReadonlyMap<number, number>
}

/** Posts `count` bodies to `path` over `connections`, each with one request in flight. */
export async function post(
  url: string,
  path: string,
  options: {
    readonly connections: number
    readonly count: number
    readonly bodyOf: (number: number) => string
  },
): Promise<Burst> {
  const { hostname, port } = new URL(url)
  const latenciesMs: number[] = []
  const statuses = new Map<number, number>()
  let next = 0
  const worker = async (connection: Connection): Promise<void> => {
    while (next < options.count) {
      const body = options.bodyOf(next++)
      const startedMs = performance.now()
      const status = await connection.post(path, body)
      latenciesMs.push(performance.now() - startedMs)
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
    }
    connection.close()
  }
  const connections = await Promise.all(
    Array.from({ length: options.connections }, () => Connection.open(hostname, Number(port))),
  )
  const startedMs = performance.now()
  await Promise.all(connections.map(worker))
  return { seconds: (performance.now() - startedMs) / 1_000, latenciesMs, statuses }
}

/** The value that a part of all values lies below. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN
}

class Connection {
  readonly #host: string
  #socket: Bun.Socket | undefined
  #received = ''
  #answer: PromiseWithResolvers<number> | undefined

  private constructor(host: string) {
    this.#host = host
  }

  static async open(hostname: string, port: number): Promise<Connection> {
    const connection = new Connection(`${hostname}:${port}`)
    connection.#socket = await Bun.connect({
      hostname,
      port,
      socket: {
        data: (_socket, bytes) => connection.#take(bytes.toString('latin1')),
        close: () => connection.#answer?.reject(new Error('the server has hung up')),
      },
    })
    return connection
  }

  post(path: string, body: string): Promise<number> {
    this.#answer = Promise.withResolvers()
    this.#socket?.write(
      `POST ${path} HTTP/1.1\r\nHost: ${this.#host}\r\nContent-Type: application/json\r\n` +
        `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    )
    return this.#answer.promise
  }

  close(): void {
    this.#answer = undefined
    this.#socket?.end()
  }

  #take(text: string): void {
    this.#received += text
    const headEnd = this.#received.indexOf('\r\n\r\n')
    if (headEnd < 0) return
    const head = this.#received.slice(0, headEnd)
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0)
    if (this.#received.length < headEnd + 4 + length) return
    this.#received = this.#received.slice(headEnd + 4 + length)
    this.#answer?.resolve(Number(head.slice(9, 12)))
  }
}
