/** `bun syncing-child.ts PATH DURABILITY`: appends one by one, and says so before and after each, for strace to see. */
import { systemClock as clock, systemRandom as random } from '#system'
import { writeSync } from 'node:fs'

import { appendOf } from '../log.contract/records.ts'
import { openSqliteLog } from '../sqlite-log.ts'

const [path = '', durability] = process.argv.slice(2)
const log = await openSqliteLog(path, {
  clock,
  random,
  durability: durability === 'power' ? 'power' : 'process',
})
await log.createTopics([{ topic: 'orders', partitions: 1, config: {} }])
const writer = await log.writer()
for (let n = 0; n < 20; n += 1) {
  writeSync(1, `begin ${n}\n`)
  await writer.append(appendOf({ topic: 'orders', partition: 0 }, [`${n}`]))
  writeSync(1, `acknowledged ${n}\n`)
}
writeSync(1, 'end\n')
await log.close()
