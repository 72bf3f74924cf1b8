import { kafkaForTests, startCluster, USERS } from '#kafka-for-tests'
import { grant, type Right } from '#kafka-for-tests/tools'
import { systemClock as clock, systemRandom as random } from '#system'
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'

import type { KafkaSettings } from './kafka/kafka-options.ts'
import { kafkaOptions } from './kafka/kafka-url.ts'
import { openKafkaLog } from './kafka-log.ts'
import { codeOf, coded, fresh } from './log.contract/harness.ts'
import { TestMember } from './log.contract/members.ts'
import { appendOf, readPartition, valuesOf } from './log.contract/records.ts'
import { type Log, LogError, partitionKey } from './log.ts'

type SecureCluster = Awaited<ReturnType<typeof startCluster>>

const kafka = await kafkaForTests()
setDefaultTimeout(120_000)
const MECHANISMS = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const
const WRONG = 'not-the-secret'

describe.skipIf(kafka === undefined)('a guarded cluster', () => {
  let cluster: SecureCluster
  let ca: string
  let otherCa: string
  const opened: Log[] = []
  beforeAll(async () => {
    cluster = await startCluster({ sasl: true, tls: true })
    ca = await Bun.file(cluster.certificates.ca).text()
    otherCa = await Bun.file(cluster.certificates.otherCa).text()
  })
  afterAll(async () => {
    for (const log of opened) await log.close()
    await cluster.down()
  })

  async function open(bootstrap: string | undefined, settings: KafkaSettings): Promise<Log> {
    const options = await kafkaOptions(`kafka://${bootstrap}`, settings, {})
    const log = await openKafkaLog(options, { clock, random })
    opened.push(log)
    return log
  }

  /** Everything that goes over a connection of its own: looked up, written, read, joined. */
  async function expectUsable(log: Log): Promise<void> {
    const topic = fresh('orders')
    const place = { topic, partition: 0 }
    await log.createTopics([{ topic, partitions: 1, config: {} }])
    const writer = await log.writer({ transactionalId: fresh('writer') })
    const sealed = { appends: [appendOf(place, ['a'])], groupId: undefined, member: undefined }
    expect(codeOf(await writer.commit({ ...sealed, offsets: [] }))).toBe('committed')
    await writer.close()
    expect(valuesOf(await readPartition(log, place))).toEqual(['a'])
    const member = await TestMember.join(log, { groupId: fresh('group'), topics: [topic] })
    expect((await member.assigned()).partitions).toEqual([place])
    await member.member.close({ leave: true })
  }

  async function refusal(bootstrap: string | undefined, settings: KafkaSettings): Promise<string> {
    const refused: unknown = await open(bootstrap, settings).catch((error: unknown) => error)
    expect(refused).toEqual(coded('LOG_REFUSED'))
    const message = refused instanceof LogError ? refused.message : ''
    expect(message).not.toContain('\n')
    // Whatever prints an error prints its causes too.
    expect(Bun.inspect(refused)).not.toContain(WRONG)
    return message
  }

  test.each(MECHANISMS)('is entered by %s, with TLS and without', async (mechanism) => {
    const sasl = { mechanism, username: 'app', password: USERS.app }
    await expectUsable(await open(cluster.bootstrapSasl, { sasl }))
    await expectUsable(await open(cluster.bootstrapSaslTls, { sasl, tls: { ca } }))
  })

  test('is entered by TLS of a private CA, and by a certificate of ours', async () => {
    await expectUsable(await open(cluster.bootstrapTls, { tls: { ca } }))
    const paths = cluster.certificates.app
    const [cert, key] = await Promise.all([Bun.file(paths.cert).text(), Bun.file(paths.key).text()])
    await expectUsable(await open(cluster.bootstrapMutualTls, { tls: { ca, cert, key } }))
  })

  test('is entered from another thread by what was shared', async () => {
    const sasl = { mechanism: 'PLAIN', username: 'app', password: USERS.app } as const
    const log = await open(cluster.bootstrapSasl, { sasl })
    const share = log.share()
    expect(structuredClone(share.value)).toEqual(share.value)
    const again = await openKafkaLog(share.value as Parameters<typeof openKafkaLog>[0], {
      clock,
      random,
    })
    opened.push(again)
    expect(again.id).toBe(log.id)
  })

  test.each(MECHANISMS)(
    'refuses a wrong password at once, in one line without it (%s)',
    async (mechanism) => {
      const sasl = { mechanism, username: 'app', password: WRONG }
      const line = `refused the password or the user app (${mechanism})`
      expect(await refusal(cluster.bootstrapSasl, { sasl })).toEndWith(line)
      expect(await refusal(cluster.bootstrapSaslTls, { sasl, tls: { ca } })).toEndWith(line)
    },
  )

  test('of an unknown authority, or under another name, is refused in one line', async () => {
    const unknown = 'has a certificate of an unknown authority'
    expect(await refusal(cluster.bootstrapTls, { tls: { ca: otherCa } })).toContain(unknown)
    expect(await refusal(cluster.bootstrapTls, { tls: {} })).toContain(unknown)
    const tls = { ca, serverName: 'kafka.example' }
    expect(await refusal(cluster.bootstrapTls, { tls })).toContain('of another name')
    const broken = { ca: '-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n' }
    expect(await refusal(cluster.bootstrapTls, { tls: broken })).toContain('cannot be used')
  })

  test('is told from one that is entered in another way', async () => {
    expect(await refusal(cluster.bootstrapTls, {})).toContain('speaks TLS')
    expect(await refusal(cluster.bootstrap, { tls: { ca } })).toContain('does not speak TLS')
    const sasl = { mechanism: 'PLAIN', username: 'app', password: WRONG } as const
    expect(await refusal(cluster.bootstrap, { sasl })).toContain('takes no user by PLAIN')
  })

  test('that wants a user or a certificate is given up in time, with what it may want', async () => {
    const [noUser, noCertificate] = await Promise.all([
      open(cluster.bootstrapSasl, {}).catch(String),
      open(cluster.bootstrapMutualTls, { tls: { ca } }).catch(String),
    ])
    expect(noUser).toContain('a user (?sasl=MECHANISM')
    expect(noCertificate).toContain('a certificate of ours (?cert=FILE&key=FILE)')
  })

  test('that nobody answers for is LOG_UNAVAILABLE, and in time', async () => {
    const unreachable = open('127.0.0.1:1', {})
    await expect(unreachable).rejects.toEqual(coded('LOG_UNAVAILABLE'))
    await expect(unreachable).rejects.toThrow('127.0.0.1:1 cannot be reached: connect ECONNREFUSED')
  })

  describe('with ACLs', () => {
    const user = 'limited'
    const sasl = { mechanism: 'SCRAM-SHA-512', username: user, password: USERS[user] } as const
    const app = fresh('app')
    const [input, output, forbidden] = [fresh('in'), fresh('out'), fresh('forbidden')]
    const changelog = `${app}-counts-changelog`
    const at = (topic: string) => ({ topic, partition: 0 })
    let admin: Log
    let limited: Log
    /** Just what docs/kafka-security.md lists. */
    const rights: readonly Right[] = [
      { user, resource: 'topic', name: input, operations: ['Read', 'DescribeConfigs'] },
      { user, resource: 'topic', name: output, operations: ['Write', 'DescribeConfigs'] },
      {
        user,
        resource: 'topic',
        name: `${app}-`,
        isPrefix: true,
        operations: ['Create', 'Read', 'Write', 'Delete', 'DescribeConfigs'],
      },
      { user, resource: 'group', name: app, operations: ['Read'] },
      { user, resource: 'transactional-id', name: app, isPrefix: true, operations: ['Write'] },
    ]
    beforeAll(async () => {
      admin = await open(cluster.bootstrap, {})
      const topics = [input, output, forbidden]
      await admin.createTopics(topics.map((topic) => ({ topic, partitions: 1, config: {} })))
      const writer = await admin.writer()
      for (const topic of topics) await writer.append(appendOf(at(topic), ['there']))
      await writer.close()
      await grant(cluster.bootstrap, rights)
      limited = await open(cluster.bootstrapSasl, { sasl })
    })

    test('lets an application do all it does with the rights that are listed', async () => {
      await limited.createTopics([
        { topic: input, partitions: 1, config: {} },
        { topic: changelog, partitions: 1, config: { 'cleanup.policy': 'compact' } },
        { topic: `${app}-repartition`, partitions: 1, config: {} },
      ])
      const described = await limited.describeTopics([input, output, changelog])
      expect(described).toHaveLength(3)
      const member = await TestMember.join(limited, { groupId: app, topics: [input] })
      const assignment = await member.assigned()
      expect(valuesOf(await readPartition(limited, at(input)))).toEqual(['there'])

      const writer = await limited.writer({ transactionalId: `${app}-0` })
      const result = await writer.commit({
        appends: [
          appendOf(at(output), ['result']),
          appendOf(at(changelog), [{ key: 'k', value: '1' }]),
          appendOf(at(`${app}-repartition`), ['moved']),
        ],
        groupId: app,
        member: assignment,
        offsets: [{ ...at(input), offset: 1, metadata: '' }],
      })
      expect(codeOf(result)).toBe('committed')
      const committed = await limited.committedOffsets(app, [at(input)])
      expect(committed.get(partitionKey(at(input)))?.offset).toBe(1)
      expect(valuesOf(await readPartition(limited, at(changelog)))).toEqual(['1'])
      const epoch = await limited.leaderEpoch(at(changelog))
      expect(await limited.endOffsetOfEpoch(at(changelog), epoch)).toBeGreaterThan(0)
      await limited.deleteRecords(at(`${app}-repartition`), 1)
      expect((await limited.describeGroups([app]))[0]?.members).toHaveLength(1)
      const appender = await limited.writer()
      await appender.append(appendOf(at(output), ['alone']))
      await appender.close()
      await writer.close()
      await member.member.close({ leave: true })
    })

    test('that are missing: one line that names what was tried, and no hang', async () => {
      const missing = fresh('elsewhere')
      const appender = await limited.writer()
      const reader = limited.reader()
      reader.assign([{ ...at(forbidden), position: 0 }])
      const writer = await limited.writer({ transactionalId: `${app}-1` })
      const commit = async (groupId: string, topic: string): Promise<never> => {
        const offsets = [{ ...at(input), offset: 1, metadata: '' }]
        const appends = [appendOf(at(topic), ['x'])]
        const each = await limited.writer({ transactionalId: fresh(app) })
        const result = await each.commit({ appends, groupId, member: undefined, offsets })
        await each.close()
        expect(result.outcome).toBe('aborted')
        throw result.outcome === 'committed' ? undefined : result.error
      }
      const stranger = await TestMember.join(limited, { groupId: missing, topics: [input] })
      const attempts: readonly (readonly [string, Promise<unknown>])[] = [
        [missing, limited.createTopics([{ topic: missing, partitions: 1, config: {} }])],
        [forbidden, limited.describeTopics([forbidden])],
        [forbidden, limited.deleteTopics([forbidden])],
        [forbidden, limited.endOffset(at(forbidden), 'read-committed')],
        [input, limited.deleteRecords(at(input), 1)],
        [forbidden, appender.append(appendOf(at(forbidden), ['x']))],
        [input, appender.append(appendOf(at(input), ['x']))],
        [forbidden, reader.poll({ waitMs: 30_000, bytesMax: 1_000 })],
        [missing, limited.writer({ transactionalId: missing })],
        [missing, limited.committedOffsets(missing, [at(input)])],
        [missing, commit(missing, output)],
        [input, commit(app, input)],
        [missing, stranger.lost().then(({ error }) => Promise.reject(error))],
      ]
      const failures = await Promise.all(
        attempts.map(([named, attempt]) =>
          attempt.then(
            () => [named, undefined] as const,
            (error: unknown) => [named, error] as const,
          ),
        ),
      )
      for (const [named, error] of failures) {
        expect([named, error]).toEqual([named, coded('LOG_REFUSED')])
        const message = error instanceof Error ? error.message : ''
        expect(message).toContain(named)
        expect(message).toContain('no right to')
        expect(Bun.inspect(error)).not.toContain(USERS[user])
      }
      await Promise.all([appender.close(), writer.close(), reader.close()])
      await stranger.member.close({ leave: false })
    })
  })
})
