/**
 * What the driver uses of the client library: its connections, codecs and errors, without its clients and schema registries.
 *
 * Loading the library whole takes twice as long and 23 MB more, at every start; it has one entry, so its parts are taken by
 * place. The version is exact; where the parts lie elsewhere, as in a bundled program, the whole library is loaded.
 *
 * Invariant: each of these is the very thing that the library exports under the same name.
 */
import type * as Library from '@platformatic/kafka'

const NAMES = [
  'AuthenticationError',
  'ConfigResourceTypes',
  'ConfigSources',
  'Connection',
  'GenericError',
  'NetworkError',
  'ProtocolError',
  'ResponseError',
  'UserError',
  'Writer',
  'apiVersionsV3',
  'consumerGroupDescribeV0',
  'createAPI',
  'createTopicsV7',
  'decodeConsumerProtocolAssignment',
  'decodeConsumerProtocolSubscription',
  'deleteRecordsV2',
  'deleteTopicsV6',
  'describeConfigsV4',
  'describeGroupsV5',
  'encodeConsumerProtocolAssignment',
  'encodeConsumerProtocolSubscription',
  'findCoordinatorV4',
  'heartbeatV4',
  'joinGroupV9',
  'leaveGroupV5',
  'listGroupsV5',
  'listOffsetsV7',
  'metadataV12',
  'offsetCommitV9',
  'offsetFetchV9',
  'offsetForLeaderEpochV4',
  'protocolErrors',
  'protocolErrorsCodesById',
  'syncGroupV5',
] as const

const PLACES = [
  './network/connection.js',
  './apis/index.js',
  './protocol/index.js',
  './errors.js',
  './clients/consumer/consumer-protocol.js',
]

type Client = Pick<typeof Library, (typeof NAMES)[number]>

export const client: Client = (await parts()) ?? (await import('@platformatic/kafka'))

/** Undefined unless everything is found. */
async function parts(): Promise<Client | undefined> {
  try {
    const entry = import.meta.resolve('@platformatic/kafka')
    const part = (place: string): Promise<Partial<Client>> => import(new URL(place, entry).href)
    const found: Partial<Client> = Object.assign({}, ...(await Promise.all(PLACES.map(part))))
    return isWhole(found) ? found : undefined
  } catch {
    // The library says by itself what is wrong, if something is.
    return undefined
  }
}

function isWhole(found: Partial<Client>): found is Client {
  return NAMES.every((name) => found[name] !== undefined)
}
