/** Members of one group on a real cluster, each with a topic of its own making. */
import { systemClock as clock, systemRandom as random } from '#system'

import { startGroupMember } from '../../group-member.ts'
import type { JoinOptions } from '../../log.ts'
import { fresh } from '../../log.contract/harness.ts'
import { dealOut, TestMember } from '../../log.contract/members.ts'
import { type Cluster, openCluster } from '../cluster.ts'
import { groupTransport, type KafkaGroupTransport } from '../coordinator.ts'
import { kafkaOptions } from '../kafka-url.ts'
import { createTopics } from '../topics.ts'

const REPLICATION = 1
const PARTITIONS = 4

export class GroupRig {
  readonly cluster: Cluster
  readonly groupId: string = fresh('group')
  readonly topic: string = fresh('orders')
  readonly #transports: Map<TestMember, KafkaGroupTransport> = new Map()

  private constructor(cluster: Cluster) {
    this.cluster = cluster
  }

  static async open(bootstrap: string): Promise<GroupRig> {
    const options = await kafkaOptions(`kafka://${bootstrap}`)
    const rig = new GroupRig(await openCluster(options, { clock, random }))
    const spec = { topic: rig.topic, partitions: PARTITIONS, config: {} }
    await createTopics(rig.cluster, [spec], REPLICATION)
    return rig
  }

  /** All partitions, as texts. */
  get all(): readonly string[] {
    return Array.from({ length: PARTITIONS }, (_, partition) => `${this.topic}-${partition}`)
  }

  join(more: Partial<JoinOptions> = {}): TestMember {
    const options: JoinOptions = {
      groupId: this.groupId,
      topics: [this.topic],
      userData: () => new Uint8Array(),
      assignor: dealOut,
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 10_000,
      heartbeatIntervalMs: 50,
      ...more,
    }
    const transport = groupTransport(this.cluster, options)
    const ended = (): void => transport.close()
    const member = new TestMember(startGroupMember(options, { transport, clock, random, ended }))
    this.#transports.set(member, transport)
    return member
  }

  /** Ends the connection on which a member waits for others. */
  breakConnection(member: TestMember): void {
    this.#transports.get(member)?.close()
  }

  async close(): Promise<void> {
    const members = [...this.#transports.keys()]
    await Promise.all(members.map(({ member }) => member.close({ leave: true })))
    await this.cluster.close()
  }
}
