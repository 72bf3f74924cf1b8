/**
 * What the owner of the writer connection can be asked, by its own thread or by message from another one.
 *
 * Invariant: requests and replies are plain data, and a request is one step of one transaction.
 */
import type {
  Append,
  Appended,
  CommitResult,
  SealedCommit,
  TopicPartition,
  TopicSpec,
} from '../log.ts'

export interface WriteOperations {
  readonly append: { readonly request: Append; readonly reply: Appended }
  readonly commit: {
    readonly request: {
      readonly transactionalId: string
      readonly epoch: number
      readonly sealed: SealedCommit
    }
    readonly reply: CommitResult
  }
  /** A new writer of a transactional id: fences the earlier ones, and is told its epoch. */
  readonly 'init-writer': {
    readonly request: { readonly transactionalId: string }
    readonly reply: number
  }
  readonly 'create-topics': { readonly request: readonly TopicSpec[]; readonly reply: null }
  readonly 'delete-topics': { readonly request: readonly string[]; readonly reply: null }
  readonly 'delete-records': {
    readonly request: TopicPartition & { readonly offset: number }
    readonly reply: null
  }
}

export type WriteKind = keyof WriteOperations
export type WriteRequest<K extends WriteKind> = WriteOperations[K]['request']
export type WriteReply<K extends WriteKind> = WriteOperations[K]['reply']

export interface WriteChannel {
  /** Rejects with a LogError that nothing was changed for; LOG_UNAVAILABLE may have changed everything. */
  ask<K extends WriteKind>(kind: K, request: WriteRequest<K>): Promise<WriteReply<K>>
}
