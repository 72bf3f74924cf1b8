/**
 * What the compiler infers and what it refuses of sinks, tables, and of the face that draws names.
 */
import { describe, expect, expectTypeOf, test } from 'bun:test'
import {
  bigint64,
  json,
  type KStream,
  type KTable,
  long,
  type Serde,
  type StoredKTable,
  StreamsBuilder,
  string,
  topic,
  type Windowed,
} from './index.ts'
import {
  type Reserved,
  type Failed,
  type Order,
  orders,
  events,
  counts,
  minute,
  fresh,
  eventStream,
  orderStream,
  refuses,
} from './test-helper/shop.ts'

describe('sinks', () => {
  test('a topic takes what fits it', () => {
    eventStream().to(events)
    eventStream()
      .filter((event) => event.status === 'reserved')
      .to(events)
    orderStream()
      .mapValues((): number | null => null)
      .to(counts)
    refuses(() => {
      // @ts-expect-error other values
      orderStream().to(events)
      // @ts-expect-error other keys
      rekeyed().to(orders)
      const wider = orderStream().mapValues((): string | number => 1)
      // @ts-expect-error a wider value than the topic's
      wider.to(counts)
    })
  })

  test('headers are made of the record', () => {
    eventStream().to(events, { headers: ({ status }, key) => [['event', status + key]] })
  })

  test('a chosen topic takes what fits it', () => {
    const large = topic('large', { key: string(), value: orders.value })
    orderStream().to(({ qty }) => (qty > 9 ? large : orders), [orders, large])
    refuses(() => {
      // @ts-expect-error other values
      orderStream().to(() => events, [events])
    })
  })
})

describe('tables', () => {
  const latest = (): StoredKTable<string, Reserved | Failed> => fresh().table('latest', events)

  test('toStream tells a deletion by a null, where there can be one', () => {
    expectTypeOf(latest().toStream()).toEqualTypeOf<KStream<string, Reserved | Failed | null>>()
    const counted = orderStream().groupByKey().count('n')
    expectTypeOf(counted.toStream()).toEqualTypeOf<KStream<string, number>>()
    expectTypeOf(counted.filter((n) => n > 1).toStream()).toEqualTypeOf<
      KStream<string, number | null>
    >()
  })

  test('filter, filterNot and mapValues are stored if they are named', () => {
    const reserved = latest().filter((event) => event.status === 'reserved')
    expectTypeOf(reserved).toEqualTypeOf<KTable<string, Reserved>>()
    expectTypeOf(latest().filterNot(() => true)).toEqualTypeOf<KTable<string, Reserved | Failed>>()
    expectTypeOf(latest().filter('kept', () => true)).toEqualTypeOf<
      StoredKTable<string, Reserved | Failed>
    >()
    expectTypeOf(latest().mapValues(({ item }) => item)).toEqualTypeOf<KTable<string, string>>()
    expectTypeOf(latest().mapValues('items', ({ item }) => item)).toEqualTypeOf<
      StoredKTable<string, string>
    >()
    refuses(() => {
      const unnamed = latest().mapValues(({ item }) => item)
      // @ts-expect-error not stored, so no name to ask by
      unnamed.name.length.toFixed()
      // @ts-expect-error bigint
      latest().mapValues('big', () => 1n)
      const big = latest().mapValues(() => 1n)
      // @ts-expect-error bigint
      big.filter('kept', () => true)
      // @ts-expect-error bigint
      big.suppress('held', { until: 'time-limit', durationMs: 1 })
      big.filter('kept', () => true, { value: bigint64() })
    })
  })

  test('toTable', () => {
    expectTypeOf(orderStream().toTable('t')).toEqualTypeOf<StoredKTable<string, Order>>()
    refuses(() => {
      // @ts-expect-error a store is named first
      orderStream().toTable()
    })
  })

  test('suppress: what is final is never a deletion', () => {
    const windows = orderStream().groupByKey().windowedBy(minute).count('n')
    const final = windows.filter(() => true).suppress('held', { until: 'window-closes' })
    expectTypeOf(final).toEqualTypeOf<KTable<Windowed<string>, number, never>>()
    const slow = latest().suppress('held', { until: 'time-limit', durationMs: 1, recordsMax: 9 })
    expectTypeOf(slow).toEqualTypeOf<KTable<string, Reserved | Failed>>()
    refuses(() => {
      // @ts-expect-error a limit of time says how long
      latest().suppress('held', { until: 'time-limit' })
      // @ts-expect-error what is final may not be sent early
      windows.suppress('held', { until: 'window-closes', whenFull: 'emit-early' })
    })
  })

  test('join and leftJoin', () => {
    const builder = fresh()
    const stream = builder.stream(orders)
    const table = builder.table('latest', events)
    const joined = stream.join(table, ({ qty }, found, key) => ({ qty, found, key }))
    expectTypeOf(joined).toEqualTypeOf<
      KStream<string, { qty: number; found: Reserved | Failed; key: string }>
    >()
    const left = stream.leftJoin(table, (_, found) => found)
    expectTypeOf(left).toEqualTypeOf<KStream<string, Reserved | Failed | null>>()
    refuses(() => {
      const byNumber = topic('n', { key: long(), value: long() })
      // @ts-expect-error keys differ
      orderStream().join(fresh().table('n', byNumber), () => 1)
    })
  })

  test('a table’s store is open to processors', () => {
    const builder = fresh()
    const totals = builder.stream(orders).groupByKey().windowedBy(minute).count('totals')
    const last = builder.table('last', counts)
    builder.stream(orders).processValues('look', { totals, last }, (_, { totals, last }, key) => {
      expectTypeOf(totals.get(key, 0)).toEqualTypeOf<number | undefined>()
      expectTypeOf(last.get(key)).toEqualTypeOf<number | undefined>()
    })
  })
})

describe('the face that draws names', () => {
  const generated = new StreamsBuilder('types', { names: 'generated' })

  test('repartitions by itself, and takes names as options', () => {
    const table = generated
      .stream(orders, { node: 'source' })
      .selectKey(({ qty }) => qty, { node: 'by-qty' })
      .groupByKey({ grouped: 'qty', key: long() })
      .count({ store: 'n', node: 'count' })
    expectTypeOf(table.toStream().mapValues((n, key) => n + key)).toHaveProperty('groupByKey')
    refuses(() => {
      // @ts-expect-error names are options here
      generated.stream(orders).groupByKey().count('n')
      // @ts-expect-error a serde of another type
      generated.stream(orders).groupByKey({ key: long() })
    })
  })

  test('the face with required names takes no such options', () => {
    refuses(() => {
      // @ts-expect-error a name is the first argument
      orderStream().groupByKey().count({ store: 'n' })
      // @ts-expect-error no default serdes: types say what is kept
      expect(new StreamsBuilder('types', { key: string() })).toBeDefined()
    })
  })

  test('serdes fit their types', () => {
    expectTypeOf(long()).toEqualTypeOf<Serde<number>>()
    expectTypeOf(json()).toEqualTypeOf<Serde<unknown>>()
  })
})
