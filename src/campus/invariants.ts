/**
 * What must hold of campus's topics, recomputed from the records alone by plain code that shares nothing with the engine.
 *
 * Invariant: this file imports nothing. Any reader that gives records in offset order per partition can feed it: ours, or
 * Kafka's console consumer.
 */

export interface CampusRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly key: string | null
  readonly value: string | null
  readonly headers: readonly (readonly [name: string, value: string | null])[]
}
export type Feed = AsyncIterable<CampusRecord> | Iterable<CampusRecord>

export interface CampusFeeds {
  readonly orders: Feed
  readonly stock: Feed
  readonly 'inventory-events': Feed
  /** Closed minutes; leave out while minutes may still be open. */
  readonly metrics?: Feed
  /** What came after its window had closed; `value` in the value says how many orders and verdicts it stands for. */
  readonly late?: Feed
  readonly notifications?: Feed
}

export interface CampusReport {
  readonly orders: number
  readonly repeats: number
  readonly reserved: number
  readonly failed: number
  readonly minutes: number
  /** Orders and verdicts that came after their window had closed, each counted by itself. */
  readonly late: number
  /** One line each: what is broken, and where. Empty when everything holds. */
  readonly violations: readonly string[]
}

/** `complete`: every order has had the time to be decided and every minute to close; false checks safety only. */
export interface CheckOptions {
  readonly complete: boolean
  /** What an application says of its stock now, by item, to be compared with the records. */
  readonly stockNow?: ReadonlyMap<string, { readonly available: number; readonly reserved: number }>
  /** Several processes took orders: a retry that reached another one carries the time of that one. */
  readonly manyIngresses?: boolean
  /** Answers 202 that clients hold: every one must be in `orders`. */
  readonly accepted?: Iterable<string>
}

interface Order {
  readonly order_id: string
  readonly item_id: string
  readonly qty: number
  readonly user_id: string
  readonly timestamp: number
}

const VIOLATIONS_MAX = 50

export async function checkCampus(
  feeds: CampusFeeds,
  options: CheckOptions,
): Promise<CampusReport> {
  const violations: string[] = []
  const violate = (what: string): void => {
    if (violations.length < VIOLATIONS_MAX) violations.push(what)
  }

  const orders = await readOrders(feeds.orders, options.manyIngresses === true, violate)
  const restocks = await readStock(feeds.stock, violate)
  const outcome = await checkDecisions(feeds['inventory-events'], orders, restocks, violate)

  for (const orderId of options.accepted ?? [])
    if (!orders.byId.has(orderId)) violate(`lost: accepted order ${orderId} is not in orders`)
  if (options.complete) {
    for (const orderId of orders.byId.keys())
      if (!outcome.decided.has(orderId)) violate(`undecided: order ${orderId} has no verdict`)
  }
  for (const [item, now] of options.stockNow ?? [])
    checkStockNow(item, now, restocks, outcome, violate)

  const late = await readLate(feeds.late ?? [], violate)
  let minutes = 0
  if (feeds.metrics !== undefined) {
    const totals = await readMetrics(feeds.metrics, violate)
    minutes = totals.minutes
    if (options.complete) checkTotals(totals, late, orders.byId.size, outcome, violate)
  }
  if (feeds.notifications !== undefined)
    await checkNotifications(feeds.notifications, orders, outcome, options.complete, violate)

  return {
    orders: orders.byId.size,
    repeats: orders.repeats,
    reserved: outcome.reserved,
    failed: outcome.failed,
    minutes,
    late: late.orders + late.reserved + late.failed,
    violations,
  }
}

type Violate = (what: string) => void

interface Orders {
  readonly byId: Map<string, Order>
  /** Distinct order ids per partition, in the order of their first record. */
  readonly sequence: Map<number, string[]>
  repeats: number
}

async function readOrders(feed: Feed, manyIngresses: boolean, violate: Violate): Promise<Orders> {
  const orders: Orders = { byId: new Map(), sequence: new Map(), repeats: 0 }
  const text = new Map<string, string>()
  for await (const record of inOrder(feed, violate)) {
    const order = parse<Order>(record, violate)
    if (order === undefined) continue
    if (record.key !== order.item_id) violate(`${at(record)}: key ${record.key} is not its item`)
    const body = manyIngresses
      ? JSON.stringify([order.item_id, order.qty, order.user_id])
      : (record.value ?? '')
    const first = text.get(order.order_id)
    if (first !== undefined) {
      orders.repeats += 1
      if (first !== body)
        violate(`${at(record)}: order ${order.order_id} came again with another body`)
      continue
    }
    text.set(order.order_id, body)
    orders.byId.set(order.order_id, order)
    const sequence = orders.sequence.get(record.partition) ?? []
    sequence.push(order.order_id)
    orders.sequence.set(record.partition, sequence)
  }
  return orders
}

interface ItemStock {
  /** What had been added after the first, second, … restock, in the order of the topic. */
  readonly sums: number[]
  /** So many of them were there before the first order: the seed, which a first start commits before it takes any. */
  seeded: number
}
type Restocks = Map<string, ItemStock>
const SEED_PREFIX = 'seed-'

async function readStock(feed: Feed, violate: Violate): Promise<Restocks> {
  const restocks: Restocks = new Map()
  const seen = new Set<string>()
  for await (const record of inOrder(feed, violate)) {
    const stock = parse<{ stock_id: string; item_id: string; qty: number }>(record, violate)
    if (stock === undefined || seen.has(stock.stock_id)) continue
    seen.add(stock.stock_id)
    if (!(stock.qty > 0)) violate(`${at(record)}: a restock adds ${stock.qty}`)
    const item = restocks.get(stock.item_id) ?? { sums: [], seeded: 0 }
    item.sums.push((item.sums.at(-1) ?? 0) + stock.qty)
    if (stock.stock_id.startsWith(SEED_PREFIX)) item.seeded = item.sums.length
    restocks.set(stock.item_id, item)
  }
  return restocks
}

interface Outcome {
  readonly decided: Map<string, 'reserved' | 'failed'>
  readonly reservedByItem: Map<string, number>
  reserved: number
  failed: number
}

/**
 * Verdicts come in the order of the orders. Between orders and restocks the topics keep no common order, but restocks only
 * add, so the fewest restocks that explain every `reserved` so far is a lower bound that only grows; a `failed` is wrong if
 * even with that few there was enough.
 */
async function checkDecisions(
  feed: Feed,
  orders: Orders,
  restocks: Restocks,
  violate: Violate,
): Promise<Outcome> {
  const outcome: Outcome = { decided: new Map(), reservedByItem: new Map(), reserved: 0, failed: 0 }
  const next = new Map<number, number>()
  const restocksSeen = new Map<string, number>()
  for await (const record of inOrder(feed, violate)) {
    const event = parse<Omit<Order, 'user_id'> & { status: string }>(record, violate)
    if (event === undefined) continue
    const order = orders.byId.get(event.order_id)
    if (order === undefined) {
      violate(`${at(record)}: verdict for an order that was never placed: ${event.order_id}`)
      continue
    }
    const earlier = outcome.decided.get(event.order_id)
    if (earlier !== undefined) {
      const what = earlier === event.status ? 'doubled' : 'contradicted'
      violate(`${what}: order ${event.order_id} again at ${at(record)}`)
      continue
    }
    const position = next.get(record.partition) ?? 0
    const expected = orders.sequence.get(record.partition)?.[position]
    if (expected !== event.order_id)
      violate(`${at(record)}: verdict for ${event.order_id}, but ${expected} was placed before it`)
    next.set(record.partition, position + 1)
    if (
      order.item_id !== event.item_id ||
      order.qty !== event.qty ||
      order.timestamp !== event.timestamp
    )
      violate(`${at(record)}: verdict does not match order ${event.order_id}`)
    if (event.status !== 'reserved' && event.status !== 'failed') {
      violate(`${at(record)}: status ${event.status}`)
      continue
    }
    outcome.decided.set(event.order_id, event.status)
    outcome[event.status] += 1

    const { sums, seeded } = restocks.get(event.item_id) ?? { sums: [], seeded: 0 }
    const reserved = outcome.reservedByItem.get(event.item_id) ?? 0
    let seen = restocksSeen.get(event.item_id) ?? seeded
    const stockAfter = (count: number): number => (count === 0 ? 0 : (sums[count - 1] ?? 0))
    if (event.status === 'reserved') {
      while (seen < sums.length && stockAfter(seen) - reserved < event.qty) seen += 1
      if (stockAfter(seen) - reserved < event.qty)
        violate(
          `${at(record)}: reserved ${event.qty} ${event.item_id} of ${stockAfter(seen) - reserved}`,
        )
      restocksSeen.set(event.item_id, seen)
      outcome.reservedByItem.set(event.item_id, reserved + event.qty)
    } else if (stockAfter(seen) - reserved >= event.qty) {
      violate(
        `${at(record)}: failed, though ${stockAfter(seen) - reserved} ${event.item_id} were there`,
      )
    }
  }
  return outcome
}

function checkStockNow(
  item: string,
  now: { readonly available: number; readonly reserved: number },
  restocks: Restocks,
  outcome: Outcome,
  violate: Violate,
): void {
  const added = restocks.get(item)?.sums.at(-1) ?? 0
  const reserved = outcome.reservedByItem.get(item) ?? 0
  if (now.available < 0) violate(`stock of ${item} is negative: ${now.available}`)
  if (now.reserved !== reserved)
    violate(`${item}: ${now.reserved} reserved, the verdicts say ${reserved}`)
  if (now.available + now.reserved !== added)
    violate(`${item}: ${now.available} + ${now.reserved} is not the ${added} that were put in`)
}

interface Tally {
  orders: number
  reserved: number
  failed: number
}

interface Totals extends Tally {
  minutes: number
}

async function readMetrics(feed: Feed, violate: Violate): Promise<Totals> {
  const totals: Totals = { orders: 0, reserved: 0, failed: 0, minutes: 0 }
  const starts = new Set<number>()
  for await (const record of inOrder(feed, violate)) {
    const minute = parse<Record<string, number>>(record, violate)
    if (minute === undefined) continue
    const { window_start = -1, window_end = -1, orders = -1, reserved = -1, failed = -1 } = minute
    if (starts.has(window_start)) violate(`${at(record)}: minute ${window_start} is emitted twice`)
    starts.add(window_start)
    if (window_start % 60_000 !== 0 || window_end - window_start !== 60_000)
      violate(`${at(record)}: [${window_start}, ${window_end}) is no minute`)
    const rate = reserved + failed === 0 ? 0 : failed / (reserved + failed)
    if (minute['failure_rate'] !== rate) violate(`${at(record)}: failure rate is not ${rate}`)
    if (minute['orders_per_minute'] !== orders)
      violate(`${at(record)}: orders per minute is not ${orders}`)
    addTo(totals, { orders, reserved, failed })
    totals.minutes += 1
  }
  return totals
}

/** A late record stands for as many orders and verdicts as its value says: one, or a whole result of a partition. */
async function readLate(feed: Feed, violate: Violate): Promise<Tally> {
  const late: Tally = { orders: 0, reserved: 0, failed: 0 }
  for await (const record of inOrder(feed, violate)) {
    const value = parse<{ readonly value?: Partial<Tally> }>(record, violate)?.value ?? {}
    const { orders = 0, reserved = 0, failed = 0 } = value
    if (!(orders + reserved + failed > 0)) violate(`${at(record)}: says not what was late`)
    else addTo(late, { orders, reserved, failed })
  }
  return late
}

function addTo(sum: Tally, { orders, reserved, failed }: Tally): void {
  sum.orders += orders
  sum.reserved += reserved
  sum.failed += failed
}

function checkTotals(
  totals: Tally,
  late: Tally,
  orders: number,
  { reserved, failed }: Outcome,
  violate: Violate,
): void {
  const compare = (name: string, held: number, refused: number, there: number): void => {
    if (held + refused !== there)
      violate(`windows hold ${held} ${name} + ${refused} late, not ${there}`)
  }
  compare('orders', totals.orders, late.orders, orders)
  const outcomes = ({ reserved, failed }: Tally): number => reserved + failed
  compare('outcomes', outcomes(totals), outcomes(late), reserved + failed)
  compare('reserved', totals.reserved, late.reserved, reserved)
}

async function checkNotifications(
  feed: Feed,
  orders: Orders,
  outcome: Outcome,
  complete: boolean,
  violate: Violate,
): Promise<void> {
  const told = new Set<string>()
  for await (const record of inOrder(feed, violate)) {
    const note = parse<{ order_id: string; status: string }>(record, violate)
    if (note === undefined) continue
    if (told.has(note.order_id)) violate(`${at(record)}: ${note.order_id} is notified twice`)
    told.add(note.order_id)
    if (outcome.decided.get(note.order_id) !== note.status)
      violate(`${at(record)}: not the verdict`)
    if (orders.byId.get(note.order_id)?.user_id !== record.key)
      violate(`${at(record)}: not the user`)
  }
  if (complete && told.size !== outcome.decided.size)
    violate(`${told.size} notifications for ${outcome.decided.size} outcomes`)
}

/** Passes records on, and refuses a feed whose offsets do not rise per partition. */
async function* inOrder(feed: Feed, violate: Violate): AsyncGenerator<CampusRecord> {
  const last = new Map<number, number>()
  for await (const record of feed) {
    if (record.offset <= (last.get(record.partition) ?? -1))
      violate(`${at(record)}: offsets do not rise`)
    last.set(record.partition, record.offset)
    yield record
  }
}

function parse<T>(record: CampusRecord, violate: Violate): T | undefined {
  try {
    return JSON.parse(record.value ?? '') as T
  } catch {
    violate(`${at(record)}: not JSON`)
    return undefined
  }
}

function at({ topic, partition, offset }: CampusRecord): string {
  return `${topic}-${partition}@${offset}`
}
