/**
 * Millrace: Kafka Streams for TypeScript, on Bun. The public door: re-exports only.
 *
 * Invariant: what is not exported here, or from one of the other doors in package.json, may change without notice.
 */
export * from '#log'
export * from '#runtime'
export * from '#state'
export * from '#system'
export * from '#topology'
