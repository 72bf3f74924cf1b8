/**
 * What members tell the leader about themselves, and what the leader tells them: JSON with a version, as the group's user data.
 *
 * Invariant: bytes that are not ours, or newer, decode to nothing told, never to an error: a stranger must not stop a group.
 *
 * A member:     {"version":1,"instance":"i1","active":["0_0"],"positions":{"0_0":120},"endpoint":"http://h:1","rejoins":0}
 * Its answer:   {"version":1,"active":["0_0"],"standby":["0_1"],"warmUp":[],"owners":{"0_0":"http://h:1"}}
 */
import { Buffer } from 'node:buffer'

const VERSION = 1

export interface MemberData {
  /** Members of one instance share a state folder. */
  readonly instance: string
  /** Tasks it runs now. */
  readonly active: readonly string[]
  /** How far its copy of each task's state is: the sum of the positions of its stores. */
  readonly positions: Readonly<Record<string, number>>
  readonly endpoint: string | undefined
  /** How often it asked for a rebalance: a follower that says nothing new is not given one. */
  readonly rejoins: number
}

export interface AssignedTasks {
  readonly active: readonly string[]
  readonly standby: readonly string[]
  /** Those of the standbys that are to move here once their state is: it joins again when it has caught up. */
  readonly warmUp: readonly string[]
  /** Where queries for a task go, for every task whose owner has an endpoint. */
  readonly owners: Readonly<Record<string, string>>
}

export const NOTHING_TOLD: MemberData = {
  instance: '',
  active: [],
  positions: {},
  endpoint: undefined,
  rejoins: 0,
}
export const NOTHING_ASSIGNED: AssignedTasks = { active: [], standby: [], warmUp: [], owners: {} }

export function encodeMemberData(data: MemberData): Uint8Array {
  return Buffer.from(JSON.stringify({ version: VERSION, ...data }))
}

export function decodeMemberData(bytes: Uint8Array): MemberData {
  const data = parse(bytes)
  if (data === undefined) return NOTHING_TOLD
  const { instance, endpoint, rejoins } = data
  return {
    instance: typeof instance === 'string' ? instance : '',
    active: texts(data['active']),
    positions: entries(data['positions'], (value) => Number.isSafeInteger(value)),
    endpoint: typeof endpoint === 'string' ? endpoint : undefined,
    rejoins: typeof rejoins === 'number' ? rejoins : 0,
  }
}

export function encodeAssignedTasks(tasks: AssignedTasks): Uint8Array {
  return Buffer.from(JSON.stringify({ version: VERSION, ...tasks }))
}

export function decodeAssignedTasks(bytes: Uint8Array): AssignedTasks {
  const data = parse(bytes)
  if (data === undefined) return NOTHING_ASSIGNED
  return {
    active: texts(data['active']),
    standby: texts(data['standby']),
    warmUp: texts(data['warmUp']),
    owners: entries(data['owners'], (value) => typeof value === 'string'),
  }
}

function parse(bytes: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const data: unknown = JSON.parse(Buffer.from(bytes).toString())
    if (!isRecord(data) || data['version'] !== VERSION) return undefined
    return data
  } catch {
    return undefined
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}

function entries<T>(value: unknown, fits: (value: unknown) => boolean): Record<string, T> {
  if (!isRecord(value)) return {}
  return Object.fromEntries(Object.entries(value).filter(([, item]) => fits(item))) as Record<
    string,
    T
  >
}
