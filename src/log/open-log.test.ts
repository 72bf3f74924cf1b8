import { systemClock, systemRandom } from '#system'
import { expect, test } from 'bun:test'

import { coded } from './log.contract/harness.ts'
import { connectLog } from './connect-log.ts'
import { openLog } from './open-log.ts'

test('memory: opens a memory log', async () => {
  const log = await openLog('memory:')
  expect(await log.describeTopics()).toEqual([])
  expect(() => log.share()).toThrow('workers: 1')
  await log.close()
})

test.each([
  ['kafka://localhost:9092?colour=red', 'there is no option "colour"'],
  ['sqlite:', 'use sqlite:PATH'],
  ['postgres://localhost', 'use sqlite:PATH'],
  ['', 'use sqlite:PATH'],
])('LOG_REFUSED: %p opens nothing and says what would', async (url, remedy) => {
  const refused = openLog(url)
  await expect(refused).rejects.toEqual(coded('LOG_REFUSED'))
  await expect(refused).rejects.toThrow(remedy)
})

test('LOG_MISUSE: only a log that was shared can be connected to', async () => {
  const connecting = connectLog(
    { driver: 'memory', value: undefined, transfer: [] },
    { clock: systemClock, random: systemRandom },
  )
  await expect(connecting).rejects.toEqual(coded('LOG_MISUSE'))
})
