/** A Bun Worker on a shared log: it commits, reads what it and others wrote, and says how that went. */
import { systemClock as clock, systemRandom as random } from '#system'

import { connectLog } from '../connect-log.ts'
import type { LogShare, SealedCommit } from '../log.ts'
import { codeOf } from '../log.contract/harness.ts'
import { appendOf, readCount, valuesOf, recordsOf } from '../log.contract/records.ts'

declare const self: Worker

export interface ConnectedReport {
  readonly logId: string
  readonly outcomes: readonly string[]
  readonly values: readonly (string | null)[]
}

const COMMITS = 50

self.onmessage = async (event: MessageEvent) => {
  const { share, name }: { share: LogShare; name: string } = event.data
  const log = await connectLog(share, { clock, random })
  const writer = await log.writer({ transactionalId: name })
  const place = { topic: 'orders', partition: 0 }
  const outcomes: string[] = []
  for (let n = 0; n < COMMITS; n += 1) {
    const append = appendOf(place, [`${name}-${n}`])
    const sealed: SealedCommit = {
      appends: [append],
      groupId: name,
      member: undefined,
      offsets: [{ ...place, offset: n, metadata: '' }],
    }
    outcomes.push(codeOf(await writer.commit(sealed)))
    // What was sent is still the sender's.
    if (append.bytes.length === 0) outcomes.push('detached')
  }
  const reader = log.reader()
  reader.assign([{ ...place, position: 0 }])
  const values = valuesOf(recordsOf(await readCount(reader, COMMITS)))
  const report: ConnectedReport = { logId: log.id, outcomes, values }
  await log.close()
  self.postMessage(report)
}
