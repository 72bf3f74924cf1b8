import { ProtocolError, protocolErrors, ResponseError } from '@platformatic/kafka'
import { describe, expect, test } from 'bun:test'

import { LogError } from '../log.ts'
import { answerOf, asLogError, codeIn, errorName, isRetriable, kafkaError } from './errors.ts'

const KNOWN = Object.values(protocolErrors).filter(({ code }) => code !== 0)

describe('a Kafka error code', () => {
  test('has Kafka’s name in its message, whatever it is', () => {
    for (const { id, code } of KNOWN) {
      const error = kafkaError(code, 'asking for orders-0')
      expect(error.message).toStartWith('asking for orders-0: ')
      expect(error.message).toContain(id)
      expect(error.message).not.toContain('undefined')
    }
    // Of a broker newer than the library.
    expect(kafkaError(9_999, 'asking').message).toBe('asking: ERROR_9999')
    expect(kafkaError(9_999, 'asking').retriable).toBeFalse()
  })

  test('is retriable as the library has it, but for fetch sessions and elections, and brokers away', () => {
    const differing = KNOWN.filter(({ code, canRetry }) => isRetriable(code) !== canRetry)
    expect(differing.map(({ code }) => errorName(code)).toSorted()).toEqual([
      'BROKER_NOT_AVAILABLE',
      'ELECTION_NOT_NEEDED',
      'INELIGIBLE_REPLICA',
      'INVALID_SHARE_SESSION_EPOCH',
      'NEW_LEADER_ELECTED',
      'SHARE_SESSION_NOT_FOUND',
    ])
  })

  test.each([
    [1, 'OFFSET_OUT_OF_RANGE'],
    [3, 'TOPIC_UNKNOWN'],
    [6, 'LOG_UNAVAILABLE'],
    [10, 'RECORD_TOO_LARGE'],
    [17, 'TOPIC_INVALID'],
    [22, 'LOG_FENCED'],
    [29, 'LOG_REFUSED'],
    [82, 'LOG_FENCED'],
    [90, 'LOG_FENCED'],
    [100, 'TOPIC_UNKNOWN'],
  ] as const)('%i is %s', (code, meaning) => {
    expect(kafkaError(code, 'asking').code).toBe(meaning)
  })

  test('of a right that is missing says so, and where rights are listed', () => {
    const { message } = kafkaError(29, 'creating orders')
    expect(message).toBe(
      'creating orders: the user has no right to (TOPIC_AUTHORIZATION_FAILED); docs/kafka-security.md lists what is needed',
    )
  })
})

describe('an answer that the library throws', () => {
  const answer = { responses: [{ errorCode: 6 }, { errorCode: 0 }] }
  const thrown = new ResponseError(0, 11, { '/responses/0': [6, null] }, answer)

  test('is got whole, errors and all', async () => {
    expect(await answerOf(Promise.reject<typeof answer>(thrown))).toBe(answer)
    expect(await answerOf(Promise.resolve(answer))).toBe(answer)
    const other = new TypeError('another')
    await expect(answerOf(Promise.reject(other))).rejects.toBe(other)
  })

  test('becomes a LogError by its first code; what is no answer stays what it is', () => {
    expect(codeIn(thrown)).toBe(6)
    expect(asLogError(thrown, 'asking')).toMatchObject({ code: 'LOG_UNAVAILABLE', retriable: true })
    const own = new LogError('LOG_CLOSED', 'closed')
    expect(asLogError(own, 'asking')).toBe(own)
    const alone = new ProtocolError(6)
    expect(asLogError(alone, 'asking')).toBe(alone)
  })
})
