/**
 * Which topics name offsets of other topics, and of which: those must be copied first.
 *
 * Invariant: goes by what applications have stored of themselves; a topic that only looks like theirs is like any other.
 */
import type { Log } from '#log'
import { deadLetterTopicOf, journalTopicOf, readApplicationTopics, topologyTopicOf } from '#runtime'

export type TopicRole =
  | { readonly kind: 'plain' }
  | { readonly kind: 'dead-letters'; readonly inputs: readonly string[] }
  | { readonly kind: 'journal'; readonly inputs: readonly string[]; readonly subTopology: number }

const TOPOLOGY_SUFFIX: string = topologyTopicOf('')

/** A topic that is not in the answer is plain. */
export async function topicRoles(
  source: Log,
  topics: readonly string[],
): Promise<ReadonlyMap<string, TopicRole>> {
  const roles = new Map<string, TopicRole>()
  for (const described of topics) {
    if (!described.endsWith(TOPOLOGY_SUFFIX)) continue
    const application = described.slice(0, -TOPOLOGY_SUFFIX.length)
    const inputs = (await readApplicationTopics(source, application))?.inputs
    if (inputs === undefined) continue
    for (const topic of topics) {
      const subTopology = /-(\d+)-journal$/.exec(topic)?.[1]
      if (topic === deadLetterTopicOf(application))
        roles.set(topic, { kind: 'dead-letters', inputs })
      else if (subTopology !== undefined && topic === journalTopicOf(application, +subTopology))
        roles.set(topic, { kind: 'journal', inputs, subTopology: Number(subTopology) })
    }
  }
  return roles
}
