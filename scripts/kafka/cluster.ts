/**
 * A real Apache Kafka for tests and benchmarks: the door of this folder.
 *
 *     const kafka = await startCluster({ brokers: 3 })
 *     await openLog(`kafka://${kafka.bootstrap}`, …)
 *     await kafka.kill(2)      // kill -9
 *     await kafka.start(2)     // again, on its data
 *     await kafka.stop(1)      // SIGSTOP; cont(1) goes on
 *     await kafka.down()
 *
 * `*.kafka.test.ts` share one broker: `const kafka = await kafkaForTests()` at the top of the file (`for-tests.ts`).
 *
 * Invariant: nothing here touches a broker that this code did not start.
 */
export { kafkaForTests } from './for-tests.ts'
export type { KafkaForTests } from './for-tests.ts'
export { KAFKA_VERSION, KafkaUnavailable, kafkaJars, mavenFolder } from './jars.ts'
export { mutualTlsClientSettings, saslClientSettings, USERS } from './security.ts'
export type { Certificates, User } from './security.ts'
export { Cluster, openCluster, removeAbandoned, startCluster } from './start-cluster.ts'
export type { BrokerStatus, ClusterOptions } from './start-cluster.ts'
