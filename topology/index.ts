/** Describes processing, and runs one partition of it in memory: no clock, socket, disk or package. */
export * from './node.ts'
export * from './pipeline-contract.ts'
export { createPipeline } from './pipeline.ts'
export * from './processor.ts'
export * from './serde.ts'
export { timeSenders, type TimeSender } from './time-senders.ts'
export * from './topology.ts'
export * from './windowed.ts'
