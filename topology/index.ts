/** Describes processing, and runs one partition of it in memory: no clock, socket, disk or package. */
export {
  type BuilderOptions,
  type GeneratedBuilderOptions,
  StreamsBuilder,
  type StreamsBuilderConstructor,
} from './builder.ts'
export type * from './dsl.ts'
export type * from './generated-dsl.ts'
export { json } from './json-serde.ts'
export * from './node.ts'
export { checkCoPartitioning, internalPartitions, type PartitionCounts } from './partitions.ts'
export * from './pipeline-contract.ts'
export { createPipeline } from './pipeline.ts'
export { bigint64, bytes, double, long, nullable, string } from './primitive-serdes.ts'
export type { HeaderText, ProcessorClass } from './process-body.ts'
export * from './processor.ts'
export * from './serde.ts'
export type { SourceOptions } from './source-draft.ts'
export type { StoreSettings } from './store-specs.ts'
export { timeSenders, type TimeSender } from './time-senders.ts'
export type { Timestamps } from './timestamps.ts'
export { type ReadableTopic, topic, type Topic, type WritableTopic } from './topic.ts'
export * from './topology.ts'
export {
  type OpenStores,
  store,
  type StoreDeclaration,
  type StoreHandle,
  type StoreHandles,
  type StoreOptions,
} from './typed-store.ts'
export { hopping, tumbling } from './windows.ts'
export * from './windowed.ts'
export { windowed, WindowedSerde } from './windowed-serde.ts'
export { idleName, streamTimeName } from './wiring.ts'
