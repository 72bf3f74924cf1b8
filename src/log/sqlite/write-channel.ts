/**
 * What the owner of the writer connection can be asked, by its own thread or by message from another one.
 *
 * Invariant: requests and replies are plain data, and a request is one step of one transaction.
 */
import type { JoinRequest, MemberRef, Refused, SyncAnswer, SyncRequest } from '../group-protocol.ts'
import type {
  Append,
  Appended,
  CommitResult,
  SealedCommit,
  TopicPartition,
  TopicSpec,
} from '../log.ts'
import type { OpenMark } from './open-marks.ts'

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
  readonly 'join-group': {
    readonly request: {
      readonly groupId: string
      readonly request: JoinRequest
      readonly newMemberId: string
    }
    readonly reply: { readonly memberId: string } | Refused
  }
  readonly 'sync-group': {
    readonly request: { readonly groupId: string; readonly request: SyncRequest }
    /** Undefined while the leader has not assigned. */
    readonly reply: SyncAnswer | undefined
  }
  readonly heartbeat: {
    readonly request: { readonly groupId: string; readonly ref: MemberRef }
    readonly reply: 'ok' | Refused
  }
  readonly 'leave-group': {
    readonly request: { readonly groupId: string; readonly ref: MemberRef }
    readonly reply: null
  }
  /** Lets the deadlines of a group pass. */
  readonly 'advance-group': { readonly request: { readonly groupId: string }; readonly reply: null }

  // Only the owner asks for what follows.
  readonly 'enter-mark': { readonly request: OpenMark; readonly reply: null }
  readonly 'leave-mark': { readonly request: { readonly opener: string }; readonly reply: null }
  /** How many were removed. */
  readonly 'remove-batches': {
    readonly request: PartitionNumber & { readonly throughOffset: number }
    readonly reply: number
  }
  readonly 'rewrite-batches': {
    readonly request: PartitionNumber & {
      readonly topic: string
      readonly rewrites: readonly BatchRewrite[]
      readonly tombstonesRemovedBelow: number
    }
    readonly reply: boolean
  }
  readonly 'finish-cleaning': {
    readonly request: PartitionNumber & {
      readonly cleanedBelow: number
      readonly sweptBelow: number
      readonly atMs: number
      readonly sliceMs: number
    }
    readonly reply: null
  }
}

export interface PartitionNumber {
  readonly topicNumber: number
  readonly partition: number
}

/** What compaction makes of a batch: other bytes, or none. */
export interface BatchRewrite {
  readonly baseOffset: number
  /** The checksum of the batch as it was read. */
  readonly crc: number
  readonly bytes: Uint8Array | undefined
  readonly maxTimestampMs: number
}

export type WriteKind = keyof WriteOperations
export type WriteRequest<K extends WriteKind> = WriteOperations[K]['request']
export type WriteReply<K extends WriteKind> = WriteOperations[K]['reply']

export interface WriteChannel {
  /** Rejects with a LogError that nothing was changed for; LOG_UNAVAILABLE may have changed everything. */
  ask<K extends WriteKind>(kind: K, request: WriteRequest<K>): Promise<WriteReply<K>>
}
