/** For tests of topologies, and of anything that waits for time. Needs no test runner. */
export { FAULTS, type FaultName, type FaultRates } from './simulation/fault-plan.ts'
export { keptLine, readKeptSeeds, type KeptSeed } from './simulation/kept-seed.ts'
export { shrinkSimulation, type Shrunk } from './simulation/shrink.ts'
export { CONSEQUENCES, SimulationTally } from './simulation/simulation-tally.ts'
export { simulate, type SimulationReport } from './simulation/simulate.ts'
export {
  type Reference,
  type ReferenceTask,
  type TakenRecord,
} from './simulation/checks/reference.ts'
export { inputTo, type InputDraw, type SimulatedInput } from './simulation/simulated-input.ts'
export { type ExpandedOptions, type SimulationOptions } from './simulation/simulation-options.ts'
export { type Violation } from './simulation/violations.ts'
export {
  TestInputTopic,
  type InputTopicOptions,
  type PipeBytes,
  type PipedRecord,
  type TestRecord,
} from './test-input-topic.ts'
export { TestOutputTopic } from './test-output-topic.ts'
export {
  TestKeyValueStore,
  TestWindowStore,
  type TestStoreEntry,
  type TestWindowEntry,
} from './test-stores.ts'
export { type ProducedRecord } from './test-tasks.ts'
export { TopologyTestDriver, type TestDriverOptions } from './topology-test-driver.ts'
export { VirtualClock } from './virtual-clock.ts'
