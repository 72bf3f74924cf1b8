/** What runs on a real broker, each as Kafka Streams, as the engine, and as a loop on the client library. */
import type { Topology } from '#topology'
import { CasualCount, COUNT_STORE, unparsedCountTopology } from './count.ts'
import type { LoopBody } from './loop.ts'
import type { PeerOptions, PeerProgram } from './peers/kafka-streams/peer.ts'
import { LoopReserve, reserveTopology, SEEN_STORE, STOCK_STORE } from './reserve.ts'

export interface KafkaProgram {
  readonly topology: (applicationId: string, input: string, output: string) => Topology
  readonly peer: { readonly program: PeerProgram; readonly options: PeerOptions }
  /** A loop forwards every update: where the others do not, there is none. */
  readonly loop?: { readonly body: () => LoopBody; readonly stores: readonly string[] }
  /** Of what is compared: every record in its order, or the last one of each result. */
  readonly compared: 'checksum' | 'fold'
  /** How much of the speed of Kafka Streams is asked, by CPU time. */
  readonly floor: number
}

export type KafkaProgramName = 'count' | 'count-per-commit' | 'reserve' | 'reserve-dedupe'

export const KAFKA_PROGRAMS: Readonly<Record<KafkaProgramName, KafkaProgram>> = {
  count: {
    topology: (...places) => unparsedCountTopology(...places),
    peer: { program: 'count', options: { cache: 'off' } },
    loop: { body: () => new CasualCount(), stores: [COUNT_STORE] },
    compared: 'checksum',
    floor: 4,
  },
  'count-per-commit': {
    topology: (...places) => unparsedCountTopology(...places, { emit: 'per-commit' }),
    peer: { program: 'count', options: { cache: 'on' } },
    compared: 'fold',
    floor: 3,
  },
  reserve: {
    topology: (...places) => reserveTopology(...places, { dedupes: false }),
    peer: { program: 'reserve', options: {} },
    loop: { body: () => new LoopReserve(false), stores: [STOCK_STORE] },
    compared: 'checksum',
    floor: 4,
  },
  'reserve-dedupe': {
    topology: (...places) => reserveTopology(...places),
    peer: { program: 'reserve', options: { dedupe: true } },
    loop: { body: () => new LoopReserve(), stores: [SEEN_STORE, STOCK_STORE] },
    compared: 'checksum',
    floor: 4,
  },
}
