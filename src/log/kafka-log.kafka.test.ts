import { kafkaForTests } from '#kafka-for-tests'
import { describe, setDefaultTimeout } from 'bun:test'

import { logContract } from './log.contract.ts'
import { kafkaUnderTest } from './test-helpers/kafka-under-test.ts'

const kafka = await kafkaForTests()
// The broker, its readers and the children share two cores with whatever else runs.
setDefaultTimeout(60_000)

describe.skipIf(kafka === undefined)('on a real broker', () => {
  logContract('the Kafka log', {
    sections: ['core', 'durable', 'multi-process'],
    open: () => kafkaUnderTest(kafka?.bootstrap ?? ''),
    // Brokers take none shorter, unless told to; those of the tests are.
    sessionTimeoutMs: 1_000,
    patience: 4,
  })
})
