/**
 * Kafka's own tools, for tests: another implementation that has to agree with ours.
 *
 *     for await (const record of consoleConsumer({ bootstrap, topic: 'orders' })) …
 *     await consoleProducer({ bootstrap, topic, records: [{ key: 'a', value: '1' }], compression: 'zstd' })
 *     await describeGroup({ bootstrap, group: 'inventory' })
 *
 * Invariant: each call is a Java process of its own (about a second), which has ended when the call resolves.
 */
export { grant, revoke } from './acls.ts'
export type { Right } from './acls.ts'
export { consoleConsumer } from './console-consumer.ts'
export type { ConsoleConsumerOptions, ConsoleRecord } from './console-consumer.ts'
export { consoleProducer } from './console-producer.ts'
export type { ConsoleProducerOptions, ProducedRecord } from './console-producer.ts'
export { describeGroup, groupState, listGroups, resetOffsets } from './consumer-groups.ts'
export type { GroupPartition, GroupState, GroupTarget, ResetTo } from './consumer-groups.ts'
export { startJavaClient } from './java-client.ts'
export type { JavaClient, JavaReadRecord, JavaRecord } from './java-client.ts'
export { runTool, startTool } from './java-tool.ts'
export type { ClientSettings, ToolCall, ToolResult } from './java-tool.ts'
export { consumerPerformance, producerPerformance } from './performance-tools.ts'
export type { PerformanceResult } from './performance-tools.ts'
export { createTopic, describeTopic } from './topics.ts'
