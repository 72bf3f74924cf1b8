/**
 * Ports of the loopback address that nobody listens on.
 *
 * Invariant: outside the range from which systems take the ports of outgoing connections, so that a broker finds its port
 * free again when it is restarted.
 */
import { createServer } from 'node:net'

const FIRST = 12_000
const COUNT = 18_000

export async function freePorts(count: number, host: string): Promise<number[]> {
  const found: number[] = []
  const start = Math.floor(Math.random() * COUNT)
  for (let step = 0; step < COUNT && found.length < count; step += 1) {
    const port = FIRST + ((start + step) % COUNT)
    if (await isFree(port, host)) found.push(port)
  }
  return found
}

export function isFree(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)))
  })
}
