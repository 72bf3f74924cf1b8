import { afterAll, expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { kafkaForTests, openCluster, startCluster } from './cluster.ts'
import type { Cluster } from './cluster.ts'

const kafka = await kafkaForTests()
let cluster: Cluster | undefined
afterAll(() => cluster?.down())

test.skipIf(kafka === undefined)(
  'a broker that was killed starts again on its data, and down leaves nothing behind',
  async () => {
    cluster = await startCluster()
    const [id = 0] = cluster.brokerIds
    const pidOf = async (): Promise<number | undefined> => (await cluster?.status())?.[0]?.pid
    const first = await pidOf()
    expect(first).toBeNumber()

    expect(await cluster.kill(id)).toBe(true)
    expect(await pidOf()).toBeUndefined()
    expect(await cluster.kill(id)).toBe(false)
    expect(await cluster.cont(id)).toBe(false)

    await cluster.start(id)
    expect(await pidOf()).not.toBe(first)
    expect(await cluster.stop(id)).toBe(true)
    await cluster.down()
    expect(await pidOf()).toBeUndefined()
    expect(existsSync(cluster.dir)).toBe(false)
    // Nor the process that would have done it.
    const commands = (): Promise<string> => Bun.spawn(['ps', '-eo', 'args']).stdout.text()
    while ((await commands()).includes(cluster.dir)) await Bun.sleep(50)
  },
)

test.skipIf(kafka === undefined)(
  'a process whose number is in a pid file, but which is another one, is never signalled',
  async () => {
    cluster = await startCluster()
    const [id = 0] = cluster.brokerIds
    const pidFile = join(cluster.dir, `broker-${id}`, 'pid.json')
    const real: unknown = await Bun.file(pidFile).json()
    const other = Bun.spawn(['sleep', '60'])
    await Bun.write(pidFile, JSON.stringify({ ...(real as object), pid: other.pid }))
    expect(await (await openCluster(cluster.dir))?.kill(id)).toBe(false)
    expect(other.exitCode).toBeNull()
    other.kill()
    await other.exited
    expect(other.signalCode).toBe('SIGTERM')

    await Bun.write(pidFile, JSON.stringify(real))
    await cluster.down()
  },
)
