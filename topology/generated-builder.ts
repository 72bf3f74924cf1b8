/**
 * The builder that draws names.
 *
 * Invariant: what it builds has the names, the topics and the text of the Java program that makes the same calls.
 */
import type { Draft } from './draft.ts'
import type { Faces } from './faces.ts'
import { GeneratedGrouped, GeneratedStream, GeneratedTable, settingsOf } from './generated-faces.ts'
import { useStore } from './process-stores.ts'
import { SourceDrafts, type SourceOptions } from './source-draft.ts'
import type { NodeOption } from './stream-face.ts'
import type { ReadableTopic } from './topic.ts'
import type { Topology } from './topology.ts'
import type { StoreDeclaration } from './typed-store.ts'

type AnyTopic = ReadableTopic<unknown, unknown>
type SourceCall = SourceOptions<unknown> & NodeOption

export class GeneratedBuilder {
  readonly applicationId: string
  readonly #draft: Draft
  readonly #sources: SourceDrafts
  readonly #faces: Faces = {
    stream: (draft) => new GeneratedStream(draft, this.#faces),
    grouped: (draft, windows) => new GeneratedGrouped(draft, this.#faces, windows),
    table: (draft) => new GeneratedTable(draft, this.#faces),
  }

  constructor(draft: Draft) {
    this.applicationId = draft.options.applicationId
    this.#draft = draft
    this.#sources = new SourceDrafts(draft)
  }

  stream(topics: AnyTopic | readonly AnyTopic[], options: SourceCall = {}): object {
    const list = 'name' in topics ? [topics] : topics
    return this.#faces.stream(this.#sources.stream(list, options, options.node))
  }

  table(topic: AnyTopic, options: SourceCall & Parameters<typeof settingsOf>[0] = {}): object {
    const { node, store, settings } = settingsOf(options)
    return this.#faces.table(this.#sources.table(topic, options, { node, store, settings }))
  }

  addStateStore(store: StoreDeclaration<unknown, unknown>): void {
    useStore(this.#draft, store)
  }

  build(): Topology {
    return this.#draft.build()
  }
}
