import { expect, test } from 'bun:test'
import { DelegatingLog, LogError, type GroupMember, type MembershipEvent } from '#log'
import { createMemoryLog } from '#log/memory'
import { string, StreamsBuilder, topic } from '#topology'
import { Streams } from './streams.ts'

/** A log whose groups take nobody, for this reason. */
class RefusingLog extends DelegatingLog {
  readonly #error: LogError

  constructor(error: LogError) {
    super(createMemoryLog())
    this.#error = error
  }

  override async join(): Promise<GroupMember> {
    const events: MembershipEvent[] = [{ kind: 'lost', rejoining: false, error: this.#error }]
    return {
      assignment: undefined,
      take: () => events.shift(),
      onEvent: (listener) => listener(),
      rejoin: () => {},
      close: async () => {},
    }
  }
}

async function failureOf(error: LogError): Promise<unknown> {
  const log = new RefusingLog(error)
  await log.createTopics([{ topic: 'words', partitions: 1, config: {} }])
  const builder = new StreamsBuilder('refused')
  builder.stream(topic('words', { key: string(), value: string() })).forEach(() => {})
  const streams = new Streams(builder.build(), { log, backend: 'memory' })
  const failure = streams.start().then(
    () => undefined,
    (reason: unknown) => reason,
  )
  const reason = await failure
  await streams.close()
  await log.close()
  return reason
}

test('whoever has taken a member’s place ends it: TASK_FENCED (R23)', async () => {
  const fenced = new LogError('LOG_FENCED', 'another member of refused has taken the instance id a')
  expect(await failureOf(fenced)).toMatchObject({ code: 'TASK_FENCED', cause: fenced })
})

test('a group that takes nobody ends a member with what it said, not with talk of another', async () => {
  const refused = new LogError(
    'LOG_MISUSE',
    'joining in group refused: INCONSISTENT_GROUP_PROTOCOL',
  )
  expect(await failureOf(refused)).toBe(refused)
})
