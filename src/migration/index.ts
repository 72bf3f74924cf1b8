/** From one log to another, with everything that an application needs to go on. */
export { migratedFrom } from './ledger.ts'
export { MIGRATION_FAILPOINTS, migrate } from './migrate.ts'
export type { MigrationOptions, MigrationProgress, MigrationReport } from './migrate.ts'
export { MigrationError, type MigrationErrorCode } from './migration-error.ts'
export { previewMigration, type MigrationPreview } from './preview.ts'
export type { Selection } from './plan.ts'
export type { VerifiedTopic } from './verify.ts'
