/**
 * What `Streams` is built from, for whoever runs workers in surroundings of their own: the simulator.
 *
 * Invariant: re-exports only, and nothing of it is part of the package's interface.
 */
export { decodeMetadata } from './commit-metadata.ts'
export { answerQuestion, type StoreQuestion, type StoreReply } from './store-question.ts'
export { restoreSpecOf } from './store-expiry.ts'
export { DEFAULT_LIMITS, machineOf } from './streams-options.ts'
export { outsideTopics, prepareTopics, type LogTopics } from './topics.ts'
export { type WorkerSetup } from './worker-setup.ts'
export { TaskWorker } from './worker.ts'
