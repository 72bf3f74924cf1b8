/** A topology that kills the thread which runs it: something throws where no worker can catch it. */
import { string, StreamsBuilder, topic, type Topology } from '#topology'

export function dyingTopology(): Topology {
  if (!Bun.isMainThread) {
    setTimeout(() => {
      throw new TypeError('nobody catches this')
    }, 300)
  }
  const builder = new StreamsBuilder('dying')
  builder.stream(topic('words', { key: string(), value: string() })).forEach(() => {})
  return builder.build()
}
