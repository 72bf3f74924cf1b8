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

/** Of the chosen ones; a topic that is not in the answer is plain. */
export async function topicRoles(
  source: Log,
  topics: readonly string[],
  chosen: ReadonlySet<string>,
): Promise<ReadonlyMap<string, TopicRole>> {
  const roles = new Map<string, TopicRole>()
  for (const name of topics) {
    if (!name.endsWith(TOPOLOGY_SUFFIX)) continue
    const application = name.slice(0, -TOPOLOGY_SUFFIX.length)
    const theirs = [...chosen].flatMap((topic) => kindOf(topic, application) ?? [])
    if (theirs.length === 0) continue
    const inputs = (await readApplicationTopics(source, application))?.inputs
    if (inputs === undefined) continue
    for (const { topic, ...kind } of theirs) roles.set(topic, { ...kind, inputs })
  }
  return roles
}

type Kind =
  | { readonly topic: string; readonly kind: 'dead-letters' }
  | { readonly topic: string; readonly kind: 'journal'; readonly subTopology: number }

function kindOf(topic: string, application: string): Kind | undefined {
  if (topic === deadLetterTopicOf(application)) return { topic, kind: 'dead-letters' }
  const subTopology = Number(/-(\d+)-journal$/.exec(topic)?.[1])
  if (topic !== journalTopicOf(application, subTopology)) return undefined
  return { topic, kind: 'journal', subTopology }
}
