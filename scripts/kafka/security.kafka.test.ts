import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import {
  kafkaForTests,
  mutualTlsClientSettings,
  saslClientSettings,
  startCluster,
} from './cluster.ts'
import type { Cluster } from './cluster.ts'
import { consoleConsumer, consoleProducer, createTopic, grant, revoke } from './tools.ts'
import type { ClientSettings, Right } from './tools.ts'

const shared = await kafkaForTests()
const TOPIC = 'guarded'

describe.skipIf(shared === undefined)('a cluster with users, certificates and ACLs', () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await startCluster({ sasl: true, tls: true })
    await createTopic({ bootstrap: cluster.bootstrap, topic: TOPIC })
  }, 120_000)
  afterAll(() => cluster.down())

  async function write(bootstrap: string | undefined, settings: ClientSettings): Promise<void> {
    const records = [{ key: 'k', value: JSON.stringify(settings['sasl.mechanism'] ?? 'tls') }]
    // A refusal is told soon; without it the tool would wait for a minute.
    const quick = { ...settings, 'max.block.ms': '10000', 'delivery.timeout.ms': '10000' }
    await consoleProducer({
      bootstrap: bootstrap ?? '',
      topic: TOPIC,
      records,
      settings: { ...quick, 'request.timeout.ms': '5000', 'linger.ms': '0' },
    })
  }

  async function values(): Promise<(string | null)[]> {
    const found = []
    const options = { bootstrap: cluster.bootstrap, topic: TOPIC }
    for await (const { value } of consoleConsumer(options)) found.push(value)
    return found
  }

  test('every mechanism and the client certificate let a known user in, and nobody else', async () => {
    const mechanisms = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const
    for (const mechanism of mechanisms)
      await write(cluster.bootstrapSasl, saslClientSettings('app', mechanism))
    await write(
      cluster.bootstrapMutualTls,
      await mutualTlsClientSettings(cluster.certificates, 'app'),
    )
    await write(cluster.bootstrapSasl, saslClientSettings('app', 'PLAIN', 'wrong')).catch(() => {})
    expect(await values()).toEqual(['"PLAIN"', '"SCRAM-SHA-256"', '"SCRAM-SHA-512"', '"tls"'])
  })

  test('the limited user writes what it was granted, by certificate and by password alike', async () => {
    const before = await values()
    const limited = saslClientSettings('limited', 'SCRAM-SHA-512')
    const right: Right = {
      user: 'limited',
      resource: 'topic',
      name: TOPIC,
      operations: ['Write', 'Describe'],
    }
    await write(cluster.bootstrapSasl, limited).catch(() => {})
    expect(await values()).toEqual(before)

    await grant(cluster.bootstrap, [right])
    await write(cluster.bootstrapSasl, limited)
    await write(
      cluster.bootstrapMutualTls,
      await mutualTlsClientSettings(cluster.certificates, 'limited'),
    )
    const after = [...before, '"SCRAM-SHA-512"', '"tls"']
    expect(await values()).toEqual(after)

    await revoke(cluster.bootstrap, [right])
    await write(cluster.bootstrapSasl, limited).catch(() => {})
    expect(await values()).toEqual(after)
  })
})
