/**
 * Who runs which task of an application, asked of its group: for whoever is no member of it, and for what a member does not run.
 *
 * Invariant: only what the group says; a task that nobody runs at present is absent.
 */
import type { GroupDescription, Log } from '#log'
import { TopologyError, type Topology } from '#topology'
import type { Queryable } from './query.ts'
import { decodeMemberData } from './assignment-data.ts'
import { inputTopicsOf, taskIdOf } from './internal-names.ts'

export interface TaskOwner {
  readonly memberId: string
  readonly instanceId: string | undefined
  /** Where it answers queries, if it said: `http://host:port`. */
  readonly endpoint: string | undefined
}

/** By task id. */
export async function taskOwners(
  log: Log,
  topology: Topology,
): Promise<ReadonlyMap<string, TaskOwner>> {
  const [group] = await log.describeGroups([topology.applicationId])
  const owners = new Map<string, TaskOwner>()
  if (group === undefined) return owners
  const subTopologyOf = new Map(
    topology.subTopologies.flatMap((sub) =>
      inputTopicsOf(topology, sub).map((topic) => [topic, sub.number] as const),
    ),
  )
  for (const member of group.members) {
    const { memberId, instanceId, partitions } = member
    const owner = { memberId, instanceId, endpoint: endpointOf(member) }
    for (const { topic, partition } of partitions) {
      const subTopology = subTopologyOf.get(topic)
      if (subTopology !== undefined) owners.set(taskIdOf(subTopology, partition), owner)
    }
  }
  return owners
}

/** The task that has a partition of a stored table. */
export function taskOf(
  topology: Topology,
  table: Queryable<unknown, unknown>,
  partition: number,
): string {
  const found = topology.subTopologies.find(({ stores }) =>
    stores.some(({ name }) => name === table.name),
  )
  if (found !== undefined) return taskIdOf(found.number, partition)
  const message = `${topology.applicationId} has no store ${table.name}`
  throw new TopologyError('STORE_UNKNOWN', message)
}

/** Where a member answers queries; undefined for one that did not say, or is none of ours. */
export function endpointOf({
  userData,
}: Pick<GroupDescription['members'][number], 'userData'>): string | undefined {
  return decodeMemberData(userData).endpoint
}
