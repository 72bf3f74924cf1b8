/**
 * What the engine tells whoever watches it: one call a happening, with a default that does nothing.
 *
 * Invariant: an observer cannot change what the engine does; what it throws is its own mistake and is not caught here.
 */
export type Happening =
  | { readonly kind: 'state'; readonly applicationId: string; readonly state: string }
  | {
      readonly kind: 'task-state'
      readonly applicationId: string
      readonly taskId: string
      readonly state: string
    }
  | {
      readonly kind: 'restored'
      readonly applicationId: string
      readonly taskId: string
      readonly store: string
      readonly records: number
      readonly durationMs: number
      readonly reason: string
    }
  | {
      readonly kind: 'store-rebuilt'
      readonly applicationId: string
      readonly taskId: string
      readonly store: string
      readonly reason: string
    }
  | {
      readonly kind: 'commit'
      readonly applicationId: string
      readonly outcome: string
      readonly durationMs: number
      readonly bytes: number
    }
  | { readonly kind: 'recovering'; readonly applicationId: string; readonly cause: unknown }
  | {
      readonly kind: 'rebalance'
      readonly applicationId: string
      readonly generation: number
      readonly tasks: readonly string[]
    }
  | {
      readonly kind: 'dead-letter'
      readonly applicationId: string
      readonly taskId: string
      readonly topic: string
      readonly partition: number
      readonly offset: number
      readonly error: string
    }
  /** One task has stopped before an offset of an input; the others of the application go on. */
  | {
      readonly kind: 'task-failed'
      readonly applicationId: string
      readonly taskId: string
      readonly topic: string
      readonly partition: number
      readonly offset: number
      readonly error: string
    }
  | { readonly kind: 'failed'; readonly applicationId: string; readonly error: unknown }

export type Observer = (happening: Happening) => void

export const noObserver: Observer = () => {}
