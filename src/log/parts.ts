/**
 * What a log is built from, for whoever builds another: the simulator's runs the real groups and members on its own network.
 *
 * Invariant: re-exports only, and nothing of it is part of the package's interface.
 */
export { startGroupMember } from './group-member.ts'
export { hostedTransport } from './group-transport.ts'
export { MemoryGroups } from './memory/memory-groups.ts'
export { splitBatches } from './split-batches.ts'
