/**
 * What both kinds of stream can do: operators that keep no state, erased; `dsl.ts` and `generated-dsl.ts` say what the compiler
 * knows of them.
 *
 * Invariant: a face decides nothing but how a call is written; what it means is the draft's.
 */
import type { Faces } from './faces.ts'
import { PREFIX } from './names.ts'
import type { PairMapper, Predicate, ValueMapper } from './node.ts'
import { headerProcessor, type HeaderText } from './process-body.ts'
import type { StreamDraft } from './stream-draft.ts'
import type { StoreSettings } from './store-specs.ts'
import type { TableDraft } from './table-draft.ts'
import { serdesOf, type WritableTopic } from './topic.ts'
import { TopologyError } from './topology.ts'

export interface NodeOption {
  /** A name for the node instead of a generated one. */
  readonly node?: string
}

interface SinkOptions extends NodeOption {
  readonly topics?: readonly AnyTopic[]
  readonly headers?: (value: unknown, key: unknown) => readonly HeaderText[]
}
type AnyTopic = WritableTopic<unknown, unknown>
type Choose = (value: unknown, key: unknown) => AnyTopic
type Joiner = (left: unknown, right: unknown, key: unknown) => unknown

export abstract class StreamFace {
  readonly draft: StreamDraft
  protected readonly faces: Faces

  constructor(draft: StreamDraft, faces: Faces) {
    this.draft = draft
    this.faces = faces
  }

  filter(predicate: Predicate, { node }: NodeOption = {}): object {
    return this.faces.stream(this.draft.filter(predicate, true, node))
  }

  filterNot(predicate: Predicate, { node }: NodeOption = {}): object {
    return this.faces.stream(this.draft.filter(predicate, false, node))
  }

  map(mapper: PairMapper, { node }: NodeOption = {}): object {
    return this.faces.stream(this.draft.map(mapper, node))
  }

  mapValues(mapper: ValueMapper, { node }: NodeOption = {}): object {
    return this.faces.stream(this.draft.mapValues(mapper, node))
  }

  flatMap(
    mapper: (value: unknown, key: unknown) => Iterable<readonly [unknown, unknown]>,
    { node }: NodeOption = {},
  ): object {
    return this.faces.stream(this.draft.flatMap(mapper, node))
  }

  flatMapValues(
    mapper: (value: unknown, key: unknown) => Iterable<unknown>,
    { node }: NodeOption = {},
  ): object {
    return this.faces.stream(this.draft.flatMapValues(mapper, node))
  }

  selectKey(mapper: ValueMapper, { node }: NodeOption = {}): object {
    return this.faces.stream(this.draft.selectKey(mapper, node))
  }

  peek(action: (value: unknown, key: unknown) => void, { node }: NodeOption = {}): object {
    return this.faces.stream(this.draft.peek(action, false, node))
  }

  forEach(action: (value: unknown, key: unknown) => void, { node }: NodeOption = {}): void {
    this.draft.peek(action, true, node)
  }

  merge(other: StreamFace, { node }: NodeOption = {}): object {
    return this.faces.stream(this.draft.merge(other.draft, node))
  }

  to(topic: AnyTopic | Choose, options: readonly AnyTopic[] | SinkOptions = {}): void {
    if (typeof topic === 'function') toChosen(this.draft, topic, options)
    else toOne(this.draft, topic, isTopics(options) ? {} : options)
  }

  dedupe(
    name: string,
    options: StoreSettings & { readonly by: ValueMapper; readonly withinMs: number },
  ): object {
    return this.faces.stream(this.draft.dedupe(name, options))
  }

  protected joinTable(table: TableDraft, joiner: Joiner, left: boolean, node?: string): object {
    return this.faces.stream(this.draft.joinTable(table, { joiner, left, node }))
  }
}

function isTopics(options: readonly AnyTopic[] | SinkOptions): options is readonly AnyTopic[] {
  return Array.isArray(options)
}

function toOne(draft: StreamDraft, topic: AnyTopic, { node, headers }: SinkOptions): void {
  const { key, value } = serdesOf(topic)
  const stamped =
    headers === undefined
      ? draft
      : draft.process(PREFIX.processValues, undefined, headerProcessor(headers), [])
  stamped.to(topic.name, key, value, { node })
}

/** One sink encodes for all of them, so that they must agree on it. */
function toChosen(
  draft: StreamDraft,
  choose: Choose,
  options: readonly AnyTopic[] | SinkOptions,
): void {
  const { node, topics = [] } = isTopics(options) ? { topics: options } : options
  const [first, ...others] = topics
  if (first === undefined) {
    throw new TopologyError('OPTION_INVALID', 'list the topics that may be chosen')
  }
  const { key, value } = serdesOf(first)
  for (const other of others) {
    const serdes = serdesOf(other)
    if (serdes.key.name === key.name && serdes.value.name === value.name) continue
    const message = `${first.name} and ${other.name} have different serdes: branch, and write to each`
    throw new TopologyError('OPTION_INVALID', message)
  }
  const names = topics.map(({ name }) => name)
  const chosen = (recordValue: unknown, recordKey: unknown): string => {
    const { name } = choose(recordValue, recordKey)
    if (names.includes(name)) return name
    throw new TopologyError(
      'OPTION_INVALID',
      `${name} was chosen and is not among ${names.join(', ')}`,
    )
  }
  Object.defineProperty(chosen, 'name', { value: choose.name })
  draft.to(chosen, key, value, { node, topics: names })
}
