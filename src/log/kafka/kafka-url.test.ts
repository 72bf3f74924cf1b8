import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { coded } from '../log.contract/harness.ts'
import { kafkaOptions } from './kafka-url.ts'

const CERTIFICATE = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n'
const KEY = '-----BEGIN PRIVATE KEY-----\nMIIC\n-----END PRIVATE KEY-----\n'

describe('a kafka URL', () => {
  test.each([
    ['kafka://a', [{ host: 'a', port: 9092 }]],
    ['kafka://a:1/', [{ host: 'a', port: 1 }]],
    [
      'kafka://a.example:9092,10.0.0.1:9093,[::1]:9094',
      [
        { host: 'a.example', port: 9092 },
        { host: '10.0.0.1', port: 9093 },
        { host: '::1', port: 9094 },
      ],
    ],
  ])('%s names its brokers, and nothing else', async (url, brokers) => {
    expect(await kafkaOptions(url, {}, {})).toEqual({ brokers })
  })

  test('says how the cluster is entered, all but secrets', async () => {
    const url = 'kafka://a?sasl=PLAIN&username=ann&clientId=campus&replication=3&tls=true'
    const environment = { MILLRACE_KAFKA_PASSWORD: 's3cret' }
    expect(await kafkaOptions(url, {}, environment)).toEqual({
      brokers: [{ host: 'a', port: 9092 }],
      tls: {},
      sasl: { mechanism: 'PLAIN', username: 'ann', password: 's3cret' },
      clientId: 'campus',
      replicationFactor: 3,
    })
  })

  test.each([
    ['kafka://', 'is no broker'],
    ['kafka://a:0', '"a:0" is no broker'],
    ['kafka://a:99999', '"a:99999" is no broker'],
    ['kafka://a,,b', '"" is no broker'],
    ['kafka://a b', '"a b" is no broker'],
    ['kafka://a?colour=red', 'there is no option "colour"'],
    ['kafka://a?tls=perhaps', 'tls is true or false'],
    ['kafka://a?replication=0', 'replication is a whole number'],
    ['kafka://a?sasl=GSSAPI&username=ann', 'use one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512'],
    ['kafka://a?sasl=PLAIN', 'set MILLRACE_KAFKA_USERNAME'],
    ['kafka://a?username=ann', 'set MILLRACE_KAFKA_PASSWORD'],
    ['kafka://a?ca=/nowhere/ca.pem', 'the file /nowhere/ca.pem cannot be read'],
  ])('%s is refused in one line: %s', async (url, remedy) => {
    const read = kafkaOptions(url, {}, {})
    await expect(read).rejects.toEqual(coded('LOG_REFUSED'))
    await expect(read).rejects.toThrow(remedy)
  })

  test.each([
    'kafka://ann:s3cret@a:9092',
    'kafka://a?password=s3cret',
    'kafka://a?keyPassword=s3cret',
  ])('with a secret in it is refused without repeating it', async (url) => {
    const refused: unknown = await kafkaOptions(url, {}, {}).catch((error: unknown) => error)
    expect(refused).toEqual(coded('LOG_REFUSED'))
    expect(String(refused)).not.toContain('s3cret')
    expect(String(refused)).toContain('MILLRACE_KAFKA_')
  })
})

describe('the environment', () => {
  let folder: string
  let ca: string
  let key: string
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-kafka-'))
    ca = join(folder, 'ca.pem')
    key = join(folder, 'key.pem')
    await Promise.all([Bun.write(ca, CERTIFICATE), Bun.write(key, KEY)])
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  test('has every option, and files as well as what is in them', async () => {
    const environment = {
      MILLRACE_KAFKA_SASL: 'SCRAM-SHA-256',
      MILLRACE_KAFKA_USERNAME: 'ann',
      MILLRACE_KAFKA_PASSWORD: 's3cret',
      MILLRACE_KAFKA_CA: ca,
      MILLRACE_KAFKA_CERT: CERTIFICATE,
      MILLRACE_KAFKA_KEY: key,
      MILLRACE_KAFKA_KEY_PASSWORD: 'opensesame',
      MILLRACE_KAFKA_SERVER_NAME: 'kafka.example',
    }
    expect(await kafkaOptions('kafka://a', {}, environment)).toMatchObject({
      tls: {
        ca: CERTIFICATE,
        cert: CERTIFICATE,
        key: KEY,
        keyPassword: 'opensesame',
        serverName: 'kafka.example',
      },
      sasl: { mechanism: 'SCRAM-SHA-256', username: 'ann', password: 's3cret' },
    })
  })

  test('gives way to the URL, and all of it to what the program says', async () => {
    const environment = { MILLRACE_KAFKA_USERNAME: 'ann', MILLRACE_KAFKA_PASSWORD: 'a' }
    const named = await kafkaOptions('kafka://a?username=bob', {}, environment)
    expect(named.sasl).toEqual({ mechanism: 'SCRAM-SHA-512', username: 'bob', password: 'a' })
    const sasl = { mechanism: 'PLAIN', username: 'cyd', password: 'c' } as const
    expect((await kafkaOptions('kafka://a', { sasl }, environment)).sasl).toEqual(sasl)
  })

  test('with half a key pair, or no PEM, is refused', async () => {
    const words = join(folder, 'words.txt')
    await Bun.write(words, 'not PEM')
    for (const environment of [
      { MILLRACE_KAFKA_CERT: CERTIFICATE },
      { MILLRACE_KAFKA_KEY: KEY },
      { MILLRACE_KAFKA_CA: words },
    ]) {
      const refused = kafkaOptions('kafka://a', {}, environment)
      await expect(refused).rejects.toEqual(coded('LOG_REFUSED'))
    }
  })
})
