/** Benches that start a real broker, which takes Java: they run when they are asked for by name. */
import type { Bench } from './benches.ts'
import type { KafkaProgramName } from './kafka-programs.ts'
import { kafkaCommit } from './kafka-commit.ts'
import { kafkaEndToEnd } from './kafka-end-to-end.ts'
import { kafkaFetch } from './kafka-fetch.ts'
import { kafkaLatency } from './kafka-latency.ts'
import { kafkaProduce } from './kafka-produce.ts'
import { kafkaRestore } from './kafka-restore.ts'
import type { Rounds } from './rounds.ts'

/** Sides are processes of their own, started anew in each round: one warms the machine and the broker up. */
const ROUNDS_MAX = 5

export const KAFKA_BENCHES: Readonly<Record<string, Bench>> = {
  'kafka-produce': ({ isSmoke, rounds }) =>
    kafkaProduce({ records: isSmoke ? 20_000 : 5_000_000, rounds: few(rounds) }),
  'kafka-fetch': ({ isSmoke, rounds }) =>
    kafkaFetch({ records: isSmoke ? 20_000 : 5_000_000, rounds: few(rounds) }),
  'kafka-commit': ({ isSmoke, rounds }) =>
    kafkaCommit({ commits: isSmoke ? 10 : 300, repeats: few(rounds).counted }),
  'kafka-count': endToEnd('count'),
  'kafka-count-per-commit': endToEnd('count-per-commit'),
  'kafka-reserve': endToEnd('reserve'),
  'kafka-reserve-dedupe': endToEnd('reserve-dedupe'),
  'kafka-latency': ({ isSmoke, rounds }) =>
    kafkaLatency({
      rate: isSmoke ? 200 : 2_000,
      seconds: isSmoke ? 2 : 20,
      warmUpSeconds: isSmoke ? 1 : 5,
      rounds: few(rounds),
    }),
  'kafka-restore': ({ isSmoke, rounds }) =>
    kafkaRestore({
      records: isSmoke ? 20_000 : 1_000_000,
      keys: isSmoke ? 2_000 : 100_000,
      rounds: few(rounds),
    }),
}

function endToEnd(program: KafkaProgramName): Bench {
  return ({ isSmoke, rounds }) =>
    kafkaEndToEnd({ program, records: isSmoke ? 20_000 : 1_000_000, rounds: few(rounds) })
}

function few({ counted }: Rounds): Rounds {
  return { counted: Math.min(counted, ROUNDS_MAX), warmUps: 1 }
}
