/**
 * What the type tests are written with: a shop's topics and stores, and streams of them.
 *
 * Invariant: every type here is said, so that the tests compare what is inferred with something that was not.
 */
import * as v from 'valibot'
import {
  json,
  type KStream,
  long,
  type Rekeyed,
  store,
  type StoreDeclaration,
  StreamsBuilder,
  string,
  type TimeWindowsSpec,
  topic,
  type Topic,
  tumbling,
} from '../index.ts'

export type Reserved = { item: string; status: 'reserved'; qty: number }
export type Failed = { item: string; status: 'failed'; reason: string }
export type Order = { id: string; item: string; qty: number }

const OrderSchema = v.object({ id: v.string(), item: v.string(), qty: v.number() })
const EventSchema = v.variant('status', [
  v.object({ item: v.string(), status: v.literal('reserved'), qty: v.number() }),
  v.object({ item: v.string(), status: v.literal('failed'), reason: v.string() }),
])
export const orders: Topic<string, Order> = topic('orders', {
  key: string(),
  value: json(OrderSchema),
})
export const events: Topic<string, Reserved | Failed> = topic('events', {
  key: string(),
  value: json(EventSchema),
})
export const counts: Topic<string, number> = topic('counts', { key: string(), value: long() })
export const stock: StoreDeclaration<string, Order, false> = store('stock', {
  key: string(),
  value: json(OrderSchema),
})
export const ranked: StoreDeclaration<number, string, true> = store('ranked', {
  key: long(),
  value: string(),
  ordered: true,
})
export const minute: TimeWindowsSpec = tumbling({ sizeMs: 60_000, graceMs: 0 })

export const fresh = (): StreamsBuilder => new StreamsBuilder('types')
export const orderStream = (): KStream<string, Order> => fresh().stream(orders)
export const eventStream = (): KStream<string, Reserved | Failed> => fresh().stream(events)
export const rekeyed = (): Rekeyed<number, Order> => orderStream().selectKey(({ qty }) => qty)
export const refuses = (_lines: () => void): void => {}
