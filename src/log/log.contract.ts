/**
 * The suite that every log driver passes, ours and other people's: `logContract('mine', { sections: ['core'], open })`.
 *
 * Invariant: it asks only what `log.ts` promises; what is particular to a driver is tested beside it. Offsets may have gaps
 * and maintenance may take its time, because on some drivers they do.
 */
import { describe } from 'bun:test'

import { appendsSection } from './log.contract/appends.ts'
import { durableSection } from './log.contract/durable.ts'
import { groupsSection } from './log.contract/groups.ts'
import type { LogHarness } from './log.contract/harness.ts'
import { maintenanceSection } from './log.contract/maintenance.ts'
import { multiProcessSection } from './log.contract/multi-process.ts'
import { readingSection } from './log.contract/reading.ts'
import { staticMembersSection } from './log.contract/static-members.ts'
import { topicsSection } from './log.contract/topics.ts'
import { transactionsSection } from './log.contract/transactions.ts'

export type { LogHarness, LogSection, LogUnderTest } from './log.contract/harness.ts'

export function logContract(name: string, harness: LogHarness): void {
  describe(`${name} keeps the log contract`, () => {
    if (harness.sections.includes('core')) {
      topicsSection(harness)
      appendsSection(harness)
      readingSection(harness)
      transactionsSection(harness)
      groupsSection(harness)
      staticMembersSection(harness)
      maintenanceSection(harness)
    }
    if (harness.sections.includes('durable')) durableSection(harness)
    if (harness.sections.includes('multi-process')) multiProcessSection(harness)
  })
}
