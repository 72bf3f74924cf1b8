/**
 * Whether a task that has just begun may believe what it finds: that somebody above had fallen idle (R12).
 *
 * Who was killed said nothing of what it would have to catch up with. So idleness from before is not believed until everything
 * that the tasks above had in their inputs when the question came up has been committed, and all that came of it, down to
 * the asking task's own inputs. What `idle: { after }` waits for comes first: it may have to catch up too.
 *
 * The ends are looked up once and then waited for, so that an answer comes under any load. What is read on the way writes to
 * the next repartition topic, so they are looked up again for each hop.
 *
 * Invariant: in doubt the answer is no, and time waits.
 */
import type { Log, TopicPartition } from '#log'
import type { SubTopology, Topology } from '#topology'
import { endsOf, hasCommitted, placesOf } from './committed-inputs.ts'
import { inputTopicsOf } from './internal-names.ts'
import { readApplicationTopics } from './topology-record.ts'

interface Question {
  looks: AsyncGenerator<void, void>
  isLooking: boolean
  isAnswered: boolean
}

export class IdleTrust {
  readonly #log: Log
  readonly #topology: Topology
  /** Called when the answer to some question is yes. */
  readonly #onAnswer: () => void
  readonly #questions = new WeakMap<object, Question>()

  constructor(log: Log, topology: Topology, onAnswer: () => void) {
    this.#log = log
    this.#topology = topology
    this.#onAnswer = onAnswer
  }

  /** `asker`: the task that has begun, as long as it lives. Each call that is answered no looks again, in the background. */
  mayTrust(asker: object, subTopology: SubTopology): boolean {
    let question = this.#questions.get(asker)
    if (question === undefined) {
      question = { looks: this.#looks(subTopology), isLooking: false, isAnswered: false }
      this.#questions.set(asker, question)
    }
    if (!question.isAnswered && !question.isLooking) void this.#look(question, subTopology)
    return question.isAnswered
  }

  async #look(question: Question, subTopology: SubTopology): Promise<void> {
    question.isLooking = true
    try {
      question.isAnswered = (await question.looks.next()).done === true
    } catch {
      // A log that is away has not said yes: everything is asked anew.
      question.looks = this.#looks(subTopology)
    }
    question.isLooking = false
    if (question.isAnswered) this.#onAnswer()
  }

  /** Yields as long as there is something to wait for. */
  async *#looks(subTopology: SubTopology): AsyncGenerator<void, void> {
    const { applicationId } = this.#topology
    const above = withAllAbove(this.#topology, subTopology)
    const sources = above.flatMap((part) => part.sources)
    for (const other of new Set(sources.flatMap(({ idle }) => idle?.after ?? []))) {
      let topics = await readApplicationTopics(this.#log, other)
      for (; topics === undefined; topics = await readApplicationTopics(this.#log, other)) yield
      yield* this.#caughtUp(other, topics.inputs, topics.internal.length)
    }
    const inputs = above.flatMap((part) => inputTopicsOf(this.#topology, part))
    const hops = sources.filter(({ internal }) => internal).length
    yield* this.#caughtUp(applicationId, [...new Set(inputs)], hops)
  }

  async *#caughtUp(
    groupId: string,
    topics: readonly string[],
    hops: number,
  ): AsyncGenerator<void, void> {
    let places: readonly TopicPartition[] | undefined
    for (;;) {
      places = await placesOf(this.#log, topics)
      if (places !== undefined) break
      yield
    }
    for (let hop = 0; hop <= hops; hop += 1) {
      const ends = await endsOf(this.#log, places)
      while (!(await hasCommitted(this.#log, groupId, places, ends))) yield
    }
  }
}

/** A sub-topology, and all whose records reach it. */
function withAllAbove(topology: Topology, subTopology: SubTopology): readonly SubTopology[] {
  const found = new Set([subTopology])
  // A set goes through what is added meanwhile.
  for (const below of found) {
    const topics = new Set(below.sources.flatMap((source) => source.topics))
    for (const above of topology.subTopologies) {
      const reaches = above.sinks.some(
        ({ topic }) => typeof topic === 'string' && topics.has(topic),
      )
      if (reaches) found.add(above)
    }
  }
  return [...found]
}
