import { kafkaForTests, startCluster } from '#kafka-for-tests'
import { afterAll, beforeAll, describe, setDefaultTimeout } from 'bun:test'

import { logContract } from './log.contract.ts'
import { kafkaUnderTest } from './test-helpers/kafka-under-test.ts'

const kafka = await kafkaForTests()
setDefaultTimeout(120_000)
const BROKERS = 3

describe.skipIf(kafka === undefined)('on three brokers, replication 3, min ISR 2', () => {
  let cluster: Awaited<ReturnType<typeof startCluster>>
  beforeAll(async () => {
    cluster = await startCluster({ brokers: BROKERS })
  })
  afterAll(() => cluster.down())

  logContract('the Kafka log', {
    sections: ['core', 'durable', 'multi-process'],
    open: () => kafkaUnderTest(cluster.bootstrap, { brokers: BROKERS }),
    sessionTimeoutMs: 1_000,
    patience: 4,
  })
})
