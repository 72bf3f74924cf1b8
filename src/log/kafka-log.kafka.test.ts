import { kafkaForTests } from '#kafka-for-tests'
import { describe } from 'bun:test'

import { logContract } from './log.contract.ts'
import { kafkaUnderTest } from './test-helpers/kafka-under-test.ts'

const kafka = await kafkaForTests()

describe.skipIf(kafka === undefined)('on a real broker', () => {
  logContract('the Kafka log', {
    sections: ['core', 'durable', 'multi-process'],
    open: () => kafkaUnderTest(kafka?.bootstrap ?? ''),
    // Brokers take none shorter, unless told to; those of the tests are.
    sessionTimeoutMs: 1_000,
  })
})
