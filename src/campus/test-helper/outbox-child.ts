/**
 * `bun outbox-child.ts FOLDER FIRST COUNT FAILPOINT`: places orders while the log is away, lets it come back, places as many
 * more, and ends when nothing waits any more; or is killed where the failpoint says. Prints each order once it is answered.
 */
import {
  killAtFailpoint,
  noFailpoint,
  openLog,
  systemClock as clock,
  systemRandom as random,
} from '#millrace'
import { join } from 'node:path'
import { OutboxPublisher } from '../order-publisher.ts'
import { Outbox } from '../outbox.ts'
import { campusTopics } from '../topics.ts'
import { AwayLog } from './away-log.ts'
import { orderOf } from './records.ts'

const [folder = '', first = '0', count = '0', setting = ''] = process.argv.slice(2)
const log = new AwayLog(await openLog(`sqlite:${join(folder, 'campus.db')}`))
await log.createTopics(campusTopics(1))
const outbox = new Outbox(join(folder, 'ingress.db'), 1_000)
log.presence = 'refuses'
const publisher = new OutboxPublisher({
  writer: await log.writer(),
  outbox,
  clock,
  random,
  failpoint:
    setting === ''
      ? noFailpoint
      : killAtFailpoint(setting, () => process.kill(process.pid, 'SIGKILL')),
  partitions: 1,
  answerWithinMs: 1_000,
})

async function place(n: number): Promise<void> {
  const order = orderOf(`o${n}`, 'burger', 1, n)
  const { durable } = await publisher.publish(0, [order])
  process.stdout.write(`${order.order_id} ${durable}\n`)
}

const start = Number(first)
for (let n = start; n < start + Number(count); n += 1) await place(n)
log.answer()
for (let n = start + Number(count); n < start + 2 * Number(count); n += 1) await place(n)
while (outbox.count > 0) await Bun.sleep(1)
await publisher.close()
outbox.close()
await log.close()
