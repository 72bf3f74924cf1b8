/** Benches that start a real broker, which takes Java: they run when they are asked for by name. */
import type { Bench } from './benches.ts'
import { kafkaCommit } from './kafka-commit.ts'
import { kafkaFetch } from './kafka-fetch.ts'
import { kafkaProduce } from './kafka-produce.ts'
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
}

function few({ counted }: Rounds): Rounds {
  return { counted: Math.min(counted, ROUNDS_MAX), warmUps: 1 }
}
