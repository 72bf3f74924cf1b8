/**
 * What the compiler infers and what it refuses of streams, one operator a test. `refuses` runs nothing: its lines are for the
 * compiler.
 */
import { describe, expectTypeOf, test } from 'bun:test'
import * as v from 'valibot'
import {
  bigint64,
  hopping,
  json,
  type KGroupedStream,
  type KStream,
  long,
  nullable,
  type OrderedKeyValueStore,
  type ProcessorContext,
  type Rekeyed,
  type StoredKTable,
  type StreamRecord,
  string,
  topic,
  type Topic,
  tumbling,
  windowed,
  type Windowed,
} from './index.ts'
import {
  type Reserved,
  type Failed,
  type Order,
  orders,
  events,
  counts,
  stock,
  ranked,
  minute,
  fresh,
  orderStream,
  eventStream,
  rekeyed,
  refuses,
} from './test-helper/shop.ts'

class Stamp {
  readonly #stores: { readonly ranked: OrderedKeyValueStore<number, string> }
  #context: ProcessorContext<number, Date> | undefined

  constructor(stores: { readonly ranked: OrderedKeyValueStore<number, string> }) {
    this.#stores = stores
  }

  init(context: ProcessorContext<number, Date>): void {
    this.#context = context
  }

  process(record: StreamRecord<string, Order>): void {
    const key = this.#stores.ranked.get(1)?.length ?? 0
    this.#context?.forward({ ...record, key, value: new Date(0) })
  }
}

describe('declarations', () => {
  test('a topic has the types of its serdes', () => {
    expectTypeOf(orders).toEqualTypeOf<Topic<string, Order>>()
    expectTypeOf(topic('n', { key: string(), value: nullable(long()) })).toEqualTypeOf<
      Topic<string, number | null>
    >()
    refuses(() => {
      // @ts-expect-error a topic says what its values are
      topic('orders', { key: string() })
      // @ts-expect-error a schema that gives what it would not take back
      json(v.pipe(v.string(), v.transform(Number)))
    })
  })

  test('a store is opened with ranges only if it says so', () => {
    orderStream().processValues('p', { stock, ranked }, (_, stores) => {
      expectTypeOf(stores.stock.get('a')).toEqualTypeOf<Order | undefined>()
      refuses(() => {
        // @ts-expect-error the key is a string
        stores.stock.get(1)
        // @ts-expect-error not ordered
        stores.stock.range()
      })
      expectTypeOf(stores.ranked.range).toBeFunction()
    })
  })

  test('windows say how long they wait', () => {
    expectTypeOf(hopping({ sizeMs: 2, advanceMs: 1, graceMs: 0 }).advanceMs).toEqualTypeOf<number>()
    refuses(() => {
      // @ts-expect-error grace has no default
      tumbling({ sizeMs: 1 })
    })
  })
})

describe('sources', () => {
  test('stream', () => {
    expectTypeOf(fresh().stream(orders)).toEqualTypeOf<KStream<string, Order>>()
    expectTypeOf(fresh().stream([orders, orders])).toEqualTypeOf<KStream<string, Order>>()
    fresh().stream(orders, { timestamps: { field: 'qty' }, idle: { closeMs: 1 } })
    refuses(() => {
      // @ts-expect-error only a field that holds a number is a time
      fresh().stream(orders, { timestamps: { field: 'item' } })
    })
  })

  test('table', () => {
    const table = fresh().table('latest', orders)
    expectTypeOf(table).toEqualTypeOf<StoredKTable<string, Order>>()
    refuses(() => {
      // @ts-expect-error a store is named first
      fresh().table(orders)
    })
  })
})

describe('operators that keep the key', () => {
  test('filter and filterNot narrow by inference', () => {
    const reserved = eventStream().filter((event) => event.status === 'reserved')
    expectTypeOf(reserved).toEqualTypeOf<KStream<string, Reserved>>()
    const failed = eventStream().filterNot((event) => event.status === 'reserved')
    expectTypeOf(failed).toEqualTypeOf<KStream<string, Failed>>()
    const large = orderStream().filter(({ qty }, key) => qty > key.length)
    expectTypeOf(large).toEqualTypeOf<KStream<string, Order>>()
    refuses(() => {
      // @ts-expect-error no such field
      orderStream().filter(({ price }) => price > 1)
    })
  })

  test('mapValues and flatMapValues', () => {
    const pairs = orderStream().mapValues(({ qty }, key) => ({ key, qty }))
    expectTypeOf(pairs).toEqualTypeOf<KStream<string, { key: string; qty: number }>>()
    const letters = orderStream().flatMapValues(({ item }) => item)
    expectTypeOf(letters).toEqualTypeOf<KStream<string, string>>()
  })

  test('peek and forEach', () => {
    expectTypeOf(orderStream().peek(() => {})).toEqualTypeOf<KStream<string, Order>>()
    expectTypeOf(orderStream().forEach(() => {})).toEqualTypeOf<void>()
  })

  test('merge', () => {
    const builder = fresh()
    const stream = builder.stream(orders)
    const both = stream.merge(builder.stream(events))
    expectTypeOf(both).toEqualTypeOf<KStream<string, Order | Reserved | Failed>>()
    expectTypeOf(stream.merge(stream.selectKey(() => 'k'))).toEqualTypeOf<Rekeyed<string, Order>>()
    refuses(() => {
      // @ts-expect-error keys differ
      orderStream().merge(rekeyed())
    })
  })

  test('branch: names are checked and predicates narrow', () => {
    const { ok, rest } = eventStream().branch({
      ok: (event) => event.status === 'reserved',
      rest: () => true,
    })
    expectTypeOf(ok).toEqualTypeOf<KStream<string, Reserved>>()
    expectTypeOf(rest).toEqualTypeOf<KStream<string, Reserved | Failed>>()
    refuses(() => {
      const branches = eventStream().branch({ ok: () => true })
      // @ts-expect-error no such branch
      branches.other.peek(() => {})
    })
  })

  test('dedupe', () => {
    const once = orderStream().dedupe('seen', { by: ({ id }) => id, withinMs: 1 })
    expectTypeOf(once).toEqualTypeOf<KStream<string, Order>>()
    refuses(() => {
      // @ts-expect-error an id is a string
      orderStream().dedupe('seen', { by: ({ qty }) => qty, withinMs: 1 })
      // @ts-expect-error a store is named first
      orderStream().dedupe({ by: ({ id }) => id, withinMs: 1 })
    })
  })

  test('processValues: from what is returned, undefined drops', () => {
    const checked = orderStream().processValues('check', { stock }, ({ qty }, { stock }, key) => {
      if (stock.get(key) === undefined) return undefined
      return { qty }
    })
    expectTypeOf(checked).toEqualTypeOf<KStream<string, { qty: number }>>()
    refuses(() => {
      // @ts-expect-error not a store that was named
      orderStream().processValues('check', { stock }, (_, { other }) => other)
      // @ts-expect-error a processor is named first
      orderStream().processValues({ stock }, () => 1)
    })
  })
})

describe('operators that change the key', () => {
  test('map, flatMap and selectKey give a Rekeyed', () => {
    const mapped = orderStream().map(({ id, qty }) => [id, qty])
    expectTypeOf(mapped).toEqualTypeOf<Rekeyed<string, number>>()
    const flat = orderStream().flatMap(({ id, qty }) => [[qty, id] as const])
    expectTypeOf(flat).toEqualTypeOf<Rekeyed<number, string>>()
    expectTypeOf(rekeyed()).toEqualTypeOf<Rekeyed<number, Order>>()
    expectTypeOf(rekeyed().mapValues(({ id }) => id)).toEqualTypeOf<Rekeyed<number, string>>()
    expectTypeOf(rekeyed().filter(() => true)).toEqualTypeOf<Rekeyed<number, Order>>()
  })

  test('a Rekeyed has nothing that keeps state', () => {
    refuses(() => {
      // @ts-expect-error repartition first
      rekeyed().groupByKey()
      // @ts-expect-error repartition first
      rekeyed().dedupe('seen', { by: () => '', withinMs: 1 })
      // @ts-expect-error repartition first
      rekeyed().toTable('t')
      // @ts-expect-error repartition first
      rekeyed().processValues('p', {}, () => 1)
      // @ts-expect-error repartition first
      rekeyed().join(fresh().table('t', orders), () => 1)
    })
  })

  test('process: from what is yielded', () => {
    const out = orderStream().process('p', { stock }, function* ({ qty, item }, { stock }, key) {
      if (stock.get(key) !== undefined) yield [qty, item]
      yield [qty, 1]
    })
    expectTypeOf(out).toEqualTypeOf<Rekeyed<number, string | number>>()
    refuses(() => {
      // @ts-expect-error pairs are yielded
      orderStream().process('p', {}, function* ({ qty }) {
        yield qty
      })
    })
  })

  test('process with a class: from what its context forwards', () => {
    expectTypeOf(orderStream().process('p', { ranked }, Stamp)).toEqualTypeOf<
      Rekeyed<number, Date>
    >()
    refuses(() => {
      // @ts-expect-error it needs a store that is not named
      orderStream().process('p', { stock }, Stamp)
      // @ts-expect-error it takes other records
      eventStream().process('p', { ranked }, Stamp)
      // @ts-expect-error it changes the key
      orderStream().processValues('p', { ranked }, Stamp)
    })
  })

  test('repartition: a key that is no string brings its serde', () => {
    const again = rekeyed().repartition('by-qty', { key: long(), partitions: 1 })
    expectTypeOf(again).toEqualTypeOf<KStream<number, Order>>()
    orderStream()
      .selectKey(() => 'k')
      .repartition('by-k')
    orderStream().repartition('spread', { time: 'records' })
    refuses(() => {
      // @ts-expect-error numbers need a serde
      rekeyed().repartition('by-qty')
      // @ts-expect-error a serde of another type
      rekeyed().repartition('by-qty', { key: string() })
      const maps = orderStream().mapValues(() => new Map([[1, 2]]))
      // @ts-expect-error a Map would come back empty
      maps.repartition('maps')
      // @ts-expect-error a topic is named first
      orderStream().repartition()
    })
  })
})

describe('aggregations', () => {
  test('count', () => {
    const table = orderStream().groupByKey().count('orders')
    expectTypeOf(table).toEqualTypeOf<StoredKTable<string, number, never>>()
    refuses(() => {
      // @ts-expect-error a store is named first
      orderStream().groupByKey().count()
      orderStream().groupByKey().count('orders', { emit: 'per-commit' })
      // @ts-expect-error nothing closes without windows
      orderStream().groupByKey().count('orders', { emit: 'on-close' })
    })
  })

  test('reduce', () => {
    const last = orderStream()
      .groupByKey()
      .reduce('last', (_, value) => value)
    expectTypeOf(last).toEqualTypeOf<StoredKTable<string, Order, never>>()
    refuses(() => {
      const grouped = orderStream().groupByKey()
      // @ts-expect-error gives something else
      grouped.reduce('last', () => 1)
    })
  })

  test('aggregate: what JSON would not give back brings its serde', () => {
    const grouped = (): KGroupedStream<string, Order> => orderStream().groupByKey()
    const sum = grouped().aggregate(
      'sum',
      () => 0,
      (sum, { qty }) => sum + qty,
    )
    expectTypeOf(sum).toEqualTypeOf<StoredKTable<string, number, never>>()
    const big = grouped().aggregate(
      'big',
      () => 0n,
      (sum) => sum + 1n,
      { value: bigint64() },
    )
    expectTypeOf(big).toEqualTypeOf<StoredKTable<string, bigint, never>>()
    refuses(() => {
      // @ts-expect-error bigint
      grouped().aggregate(
        'big',
        () => 0n,
        (sum) => sum + 1n,
      )
      // @ts-expect-error a Map
      grouped().aggregate(
        'map',
        () => new Map<string, number>(),
        (map) => map,
      )
      // @ts-expect-error a Date deep inside
      grouped().aggregate(
        'at',
        () => ({ seen: [{ at: new Date(0) }] }),
        (seen) => seen,
      )
    })
  })

  test('a type that holds itself may be kept as JSON', () => {
    interface Tree {
      readonly children: readonly Tree[]
    }
    const leaf = (): Tree => ({ children: [] })
    const table = orderStream()
      .groupByKey()
      .aggregate('tree', leaf, (tree) => tree)
    expectTypeOf(table).toEqualTypeOf<StoredKTable<string, Tree, never>>()
  })

  test('groupBy: through a topic that is named', () => {
    const byItem = orderStream()
      .groupBy('by-item', ({ item }) => item)
      .count('per-item')
    expectTypeOf(byItem).toEqualTypeOf<StoredKTable<string, number, never>>()
    const byQty = orderStream().groupBy('by-qty', ({ qty }) => qty, { key: long() })
    expectTypeOf(byQty.count('per-qty')).toEqualTypeOf<StoredKTable<number, number, never>>()
    refuses(() => {
      // @ts-expect-error numbers need a serde
      orderStream().groupBy('by-qty', ({ qty }) => qty)
      // @ts-expect-error a topic is named first
      orderStream().groupBy(({ item }) => item)
    })
  })

  test('windowedBy: the key is windowed', () => {
    const windows = orderStream().groupByKey().windowedBy(minute)
    const table = windows.count('per-minute', { emit: 'on-close' })
    const held = windows.count('per-minute-held', { emit: 'per-commit' })
    expectTypeOf(held).toEqualTypeOf<typeof table>()
    expectTypeOf(table).toEqualTypeOf<StoredKTable<Windowed<string>, number, never>>()
    const last = windows.reduce('last', (_, value) => value)
    expectTypeOf(last).toEqualTypeOf<StoredKTable<Windowed<string>, Order, never>>()
    const sum = windows.aggregate(
      'sum',
      () => 0,
      (sum) => sum,
    )
    expectTypeOf(sum).toEqualTypeOf<StoredKTable<Windowed<string>, number, never>>()
    refuses(() => {
      // @ts-expect-error the key is a window's
      table.toStream().to(counts)
    })
    table.toStream().to(topic('w', { key: windowed(string(), 60_000), value: long() }))
  })
})
