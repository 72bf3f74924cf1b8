/**
 * What the proxy reads of a request: its header, and the transactional id of those that begin with one.
 *
 *     00 1a | 00 05 | 00 00 00 07 | 00 08 m i l l r a c e | 00 | 04 t x n …
 *     key     version  correlation   client id              tags  transactional id, compact
 *
 * Invariant: only looks; what goes on is the frame as it came.
 */
const APIS = {
  Produce: 0,
  Fetch: 1,
  ListOffsets: 2,
  Metadata: 3,
  OffsetFetch: 9,
  FindCoordinator: 10,
  JoinGroup: 11,
  Heartbeat: 12,
  LeaveGroup: 13,
  SyncGroup: 14,
  ApiVersions: 18,
  InitProducerId: 22,
  AddPartitionsToTxn: 24,
  AddOffsetsToTxn: 25,
  EndTxn: 26,
  TxnOffsetCommit: 28,
} as const
export type ApiName = keyof typeof APIS

export interface RequestHeader {
  readonly api: ApiName | undefined
  readonly version: number
  readonly correlationId: number
  readonly clientId: string | null
  /** Undefined where the request has none, or may not have one. */
  readonly transactionalId: string | undefined
}

const NAMES: ReadonlyMap<number, ApiName> = new Map(
  (Object.keys(APIS) as ApiName[]).map((name) => [APIS[name], name]),
)

/** Bodies that begin with a transactional id, and from which version on in the compact form, behind a header with tags. */
const COMPACT_FROM: Readonly<Partial<Record<ApiName, number>>> = {
  Produce: 9,
  InitProducerId: 2,
  AddPartitionsToTxn: 3,
  AddOffsetsToTxn: 3,
  EndTxn: 3,
  TxnOffsetCommit: 3,
}

/** `frame` begins behind its length. */
export function readRequest(frame: Buffer): RequestHeader {
  const api = NAMES.get(frame.readInt16BE(0))
  const version = frame.readInt16BE(2)
  const correlationId = frame.readInt32BE(4)
  const length = frame.readInt16BE(8)
  const end = 10 + Math.max(0, length)
  return {
    api,
    version,
    correlationId,
    clientId: length < 0 ? null : frame.toString('utf8', 10, end),
    transactionalId: transactionalIdOf(frame, api, version, end),
  }
}

function transactionalIdOf(
  frame: Buffer,
  api: ApiName | undefined,
  version: number,
  headerEnd: number,
): string | undefined {
  const compactFrom = api === undefined ? undefined : COMPACT_FROM[api]
  // Clients send no tags in headers; the older forms are not used by any client of ours.
  if (compactFrom === undefined || version < compactFrom || frame[headerEnd] !== 0) return undefined
  let size = 0
  let at = headerEnd + 1
  for (let shift = 0; ; shift += 7) {
    const byte = frame[at] ?? 0
    at += 1
    size |= (byte & 0x7f) << shift
    if (byte < 0x80) break
  }
  return size === 0 ? undefined : frame.toString('utf8', at, at + size - 1)
}

export function readCorrelationId(frame: Buffer): number {
  return frame.readInt32BE(0)
}
