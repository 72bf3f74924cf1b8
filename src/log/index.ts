/** Partitioned, ordered, durable topics. Loads no driver: ask for those by name. */
export * from './log.ts'
export * from './record.ts'
