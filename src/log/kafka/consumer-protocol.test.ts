import { Buffer } from 'node:buffer'
import { describe, expect, test } from 'bun:test'

import {
  decodeAssignment,
  decodeForeignAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
} from './consumer-protocol.ts'

/** The parts of a message in hexadecimal digits, so that they can be told apart. */
const hexOf = (...parts: readonly string[]): string => parts.join('').replaceAll(' ', '')

describe('the consumer protocol', () => {
  test('has the bytes of a version 0 subscription', () => {
    const bytes = encodeSubscription({ topics: ['ab'], userData: new Uint8Array([9, 8]) })
    expect(bytes.toString('hex')).toBe(hexOf('0000', '00000001', '00026162', '00000002', '0908'))
    expect(decodeSubscription(bytes)).toEqual({
      topics: ['ab'],
      userData: new Uint8Array([9, 8]),
    })
  })

  test('has the bytes of a version 0 assignment, with the generation before our user data', () => {
    const partitions = [
      { topic: 'ab', partition: 1 },
      { topic: 'c', partition: 0 },
      { topic: 'ab', partition: 3 },
    ]
    const bytes = encodeAssignment({ partitions, userData: new Uint8Array([7]) }, 300)
    expect(bytes.toString('hex')).toBe(
      // Version and topics; two partitions of the first; one of the second; generation and user data.
      hexOf(
        '0000 00000002',
        '00026162 00000002 00000001 00000003',
        '000163 00000001 00000000',
        '00000005 0000012c 07',
      ),
    )
    expect(decodeAssignment(bytes)).toEqual({
      partitions: [
        { topic: 'ab', partition: 1 },
        { topic: 'ab', partition: 3 },
        { topic: 'c', partition: 0 },
      ],
      userData: new Uint8Array([7]),
      generation: 300,
    })
  })

  test('reads no bytes at all as a member that was left out', () => {
    expect(decodeAssignment(Buffer.alloc(0))).toEqual({
      partitions: [],
      userData: new Uint8Array(),
      generation: undefined,
    })
  })

  test('reads what newer consumers say behind the user data as if it were not there', () => {
    // Version 3 of Java: owned partitions, generation and rack follow.
    const java = Buffer.from(
      hexOf('0003', '00000001', '00026162', 'ffffffff', '00000000', 'ffffffff', 'ffff'),
      'hex',
    )
    expect(decodeSubscription(java)).toEqual({ topics: ['ab'], userData: new Uint8Array() })
    const assignment = Buffer.from(
      hexOf('0003', '00000001', '00026162', '00000001', '00000002', 'ffffffff'),
      'hex',
    )
    expect(decodeForeignAssignment(assignment)).toEqual({
      partitions: [{ topic: 'ab', partition: 2 }],
      userData: new Uint8Array(),
    })
  })

  test.each(['', '00', '0000', '0000ffff', '00007fffffff', '0000000000010005ab'])(
    'takes the bytes %p of a stranger as nothing told',
    (hex) => {
      const bytes = Buffer.from(hex, 'hex')
      expect(decodeSubscription(bytes)).toEqual({ topics: [], userData: new Uint8Array() })
      expect(decodeForeignAssignment(bytes).partitions).toEqual([])
    },
  )
})
