/**
 * The shape of a golden scenario, as its format describes it: a topology as data, inputs, and what must come out.
 *
 * Invariant: nothing here knows Millrace; a scenario is plain JSON.
 */
export interface FunctionSpec {
  readonly fn: string
  readonly arg?: string | number
  readonly [field: string]: unknown
}

export interface Op {
  readonly op: string
  readonly id?: string
  readonly from?: string
  readonly name?: string
  readonly [field: string]: unknown
}

export type InputStep =
  | { readonly advanceWallClockMs: number }
  | {
      readonly topic: string
      readonly key?: unknown
      readonly value?: unknown
      readonly keyHex?: string
      readonly valueHex?: string
      readonly timestamp: number
      readonly headers?: readonly (readonly [string, string | null])[]
    }

export interface OutputRecord {
  readonly step: number
  readonly timestamp: number | null
  readonly headers?: readonly (readonly [string, string | null])[]
  readonly [field: string]: unknown
}
export type Streams = Readonly<Record<string, readonly OutputRecord[]>>
export type StoreRow = Readonly<Record<string, unknown>>

export interface Expected {
  readonly describe?: string
  readonly internalTopicConfigs?: Readonly<
    Record<string, Readonly<Record<string, string | number>>>
  >
  readonly outputs?: Streams
  readonly changelogs?: Streams
  readonly internalTopics?: Streams
  readonly stores?: Readonly<Record<string, readonly StoreRow[]>>
  readonly droppedRecords?: number
  readonly internalTies?: boolean
  readonly error?: { readonly phase: string; readonly step?: number }
}

export interface Scenario {
  readonly name: string
  readonly area: string
  readonly config?: Readonly<Record<string, unknown>>
  readonly topology: readonly Op[]
  readonly inputs: readonly InputStep[]
  readonly expected: Expected
  readonly expectedInMemory?: Partial<Expected>
  readonly expectedLongRetention?: Streams | { readonly outputs: Streams }
}
