import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import {
  addOffsetsToTxnV4,
  type Connection,
  endTxnV4,
  initProducerIdV5,
  txnOffsetCommitV4,
} from '@platformatic/kafka'
import { kafkaForTests } from '#kafka-for-tests'

import { partitionKey } from '../log.ts'
import { fresh } from '../log.contract/harness.ts'
import { committedOffsets, commitOffsets } from './group-offsets.ts'
import { GroupRig } from './test-helpers/group-rig.ts'

const kafka = await kafkaForTests()
setDefaultTimeout(30_000)

describe.skipIf(kafka === undefined)('offsets of a group', () => {
  let rig: GroupRig
  beforeAll(async () => {
    rig = await GroupRig.open(kafka?.bootstrap ?? '')
  })
  afterAll(() => rig.close())

  /** One request of a transaction, which may come too early for a coordinator that is new. */
  async function ask<T>(
    kind: 'group' | 'transaction',
    key: string,
    exchange: (connection: Connection) => Promise<T>,
  ): Promise<T> {
    const { cluster } = rig
    return cluster.retrying(cluster.clock.elapsedMs() + 10_000, async () =>
      cluster.call(await cluster.coordinator(kind, key), 'transaction', 10_000, exchange),
    )
  }

  test('are waited for until the transaction that may change them has ended (R3)', async () => {
    const { cluster, groupId, topic } = rig
    const id = fresh('writer')
    const places = [0, 1].map((partition) => ({ topic, partition }))
    const offsets = places.map((place) => ({ ...place, offset: 1, metadata: '' }))
    await commitOffsets(cluster, groupId, undefined, offsets, cluster.clock.elapsedMs() + 10_000)

    const { producerId, producerEpoch } = await ask('transaction', id, (connection) =>
      initProducerIdV5.api.async(connection, id, 30_000, -1n, -1),
    )
    await ask('transaction', id, (connection) =>
      addOffsetsToTxnV4.api.async(connection, id, producerId, producerEpoch, groupId),
    )
    const partition = {
      partitionIndex: 0,
      committedOffset: 7n,
      committedLeaderEpoch: -1,
      committedMetadata: 'later',
    }
    await ask('group', groupId, (connection) =>
      txnOffsetCommitV4.api.async(
        connection,
        id,
        groupId,
        producerId,
        producerEpoch,
        -1,
        '',
        null,
        [{ name: topic, partitions: [partition] }],
      ),
    )
    let read = false
    const reading = committedOffsets(cluster, groupId, places).finally(() => (read = true))
    // What no transaction touches is there at once, and by then the other would have been too.
    const [, untouched] = places
    expect(await committedOffsets(cluster, groupId, untouched ? [untouched] : [])).toEqual(
      new Map([[`${topic}-1`, { offset: 1, metadata: '' }]]),
    )
    expect(read).toBe(false)
    // Nor does who only shows them wait: it is told what was committed before.
    expect(await committedOffsets(cluster, groupId, places, { requireStable: false })).toEqual(
      new Map(places.map((place) => [partitionKey(place), { offset: 1, metadata: '' }])),
    )
    expect(read).toBe(false)
    await ask('transaction', id, (connection) =>
      endTxnV4.api.async(connection, id, producerId, producerEpoch, true),
    )
    expect(await reading).toEqual(
      new Map([
        [`${topic}-0`, { offset: 7, metadata: 'later' }],
        [`${topic}-1`, { offset: 1, metadata: '' }],
      ]),
    )
  })
})
