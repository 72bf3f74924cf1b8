/** Writers whose requests and answers get lost as a test decides, on a log of a real cluster that reads what came of it. */
import { systemClock as clock, systemRandom as random } from '#system'

import { openKafkaLog } from '../../kafka-log.ts'
import { fresh } from '../../log.contract/harness.ts'
import { readPartition, valuesOf } from '../../log.contract/records.ts'
import type { Isolation, Log, LogWriter, TopicPartition } from '../../log.ts'
import { type Cluster, openCluster } from '../cluster.ts'
import { kafkaOptions } from '../kafka-url.ts'
import { createWriter, type WriterOptions } from '../transactions.ts'
import { FaultyCluster } from './faulty-cluster.ts'

export class WriterRig {
  readonly log: Log
  readonly topic: string = fresh('orders')
  readonly faulty: FaultyCluster
  readonly #cluster: Cluster
  readonly #writers: LogWriter[] = []

  private constructor(log: Log, cluster: Cluster) {
    this.log = log
    this.#cluster = cluster
    this.faulty = new FaultyCluster(cluster)
  }

  static async open(bootstrap: string): Promise<WriterRig> {
    const options = await kafkaOptions(`kafka://${bootstrap}`)
    const log = await openKafkaLog(options, { clock, random })
    const rig = new WriterRig(log, await openCluster(options, { clock, random }))
    await log.createTopics([{ topic: rig.topic, partitions: 3, config: {} }])
    return rig
  }

  at(partition: number): TopicPartition {
    return { topic: this.topic, partition }
  }

  async writer(options: WriterOptions = {}, cluster: Cluster = this.faulty): Promise<LogWriter> {
    const writer = await createWriter(cluster, options)
    this.#writers.push(writer)
    return writer
  }

  /** Speaks version 1 of the protocol, whatever the cluster has finalized. */
  inVersion1(): FaultyCluster {
    return new FaultyCluster(this.#cluster, 1)
  }

  async values(
    partition: number,
    isolation: Isolation = 'read-committed',
  ): Promise<readonly (string | null)[]> {
    return valuesOf(await readPartition(this.log, this.at(partition), { isolation }))
  }

  /** Its connections go, and with them what it waits for. */
  abandon(writer: LogWriter): void {
    this.#writers.splice(this.#writers.indexOf(writer), 1)
  }

  async close(): Promise<void> {
    for (const writer of this.#writers) await writer.close()
    await this.#cluster.close()
    await this.log.close()
  }
}
