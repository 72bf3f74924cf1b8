/**
 * The routes that write: an order, a restock.
 *
 * Invariant: 202 means that it is durable; a refused request has written nothing.
 */
import type { Context, Hono } from 'hono'
import type { Clock, Random } from '#millrace'
import { HttpProblem, readBody } from '#millrace/http'
import { describeRoute } from './describe-route.ts'
import { placedAnswer, type OrderIntake, type Placed } from './order-intake.ts'
import type { Pressure } from './pressure.ts'
import type { Requests } from './requests.ts'
import * as schemas from './schemas.ts'
import { tryAgain } from './try-again.ts'

/** What a process needs to take orders. */
export interface OrderTaking {
  readonly intake: OrderIntake
  readonly requests: Requests
  readonly pressure: Pressure
}

export interface OrderRoutesParts {
  /** Undefined: this process takes none. */
  readonly taking: OrderTaking | undefined
  readonly clock: Clock
  readonly random: Random
  readonly draining: AbortSignal
}

const BODY_BYTES_MAX = 8_192
const KEY_LENGTH_MAX = 200

/** Answers how many orders were answered with 202. */
export function addOrderRoutes(app: Hono, parts: OrderRoutesParts): () => number {
  const { taking, clock, draining } = parts
  const inFlight = new Map<string, Promise<Placed>>()
  let accepted = 0

  const takingNow = (): OrderTaking => {
    if (taking === undefined)
      throw new HttpProblem(421, 'this process takes no orders: send them to an ingress')
    const reason = draining.aborted ? 'shutting down' : taking.pressure.reason
    if (reason !== undefined) throw tryAgain(reason)
    return taking
  }

  /** One order a key: a second request with the key waits for the first, and gets its answer. */
  const place = async (
    { intake, requests }: OrderTaking,
    order: schemas.Order,
    key: string | undefined,
  ): Promise<Placed> => {
    if (key === undefined) return intake.place({ order, request: undefined })
    const bodyHash = order.order_id
    await inFlight.get(key)?.catch(() => {})
    const known = requests.findByKey(key, bodyHash)
    if (known !== undefined && !known.sameBody) return { ...known, durable: 'log' }
    // A known order is appended again: its first append may have died with the process, and dedupe drops repeats.
    const placing = intake.place({ order: known?.order ?? order, request: { key, bodyHash } })
    inFlight.set(key, placing)
    try {
      return await placing
    } finally {
      if (inFlight.get(key) === placing) inFlight.delete(key)
    }
  }

  app.post(
    '/order',
    describeRoute('Place an order', schemas.OrderRequest, 202),
    async (context) => {
      const body = await readBody(context.req.raw, schemas.OrderRequest, BODY_BYTES_MAX)
      const key = idempotencyKey(context)
      const now = takingNow()
      const { item_id, qty, user_id } = body
      const order_id = key === undefined ? parts.random.uuid() : orderIdOf(key, body)
      const order = { order_id, item_id, qty, user_id, timestamp: clock.nowMs() }
      const placed = await place(now, order, key)
      if (!placed.sameBody)
        throw new HttpProblem(409, 'this Idempotency-Key was used with another body: use a new key')
      accepted += 1
      return context.json(placedAnswer(placed), 202)
    },
  )
  app.post(
    '/stock',
    describeRoute('Restock an item', schemas.StockRequest, 202),
    async (context) => {
      const restock = await readBody(context.req.raw, schemas.StockRequest, BODY_BYTES_MAX)
      await takingNow().intake.restock(restock)
      return context.json(restock, 202)
    },
  )
  return () => accepted
}

/** R19: key and body decide the id, so a retry is the same order on any instance. */
function orderIdOf(key: string, { item_id, qty, user_id }: schemas.OrderRequest): string {
  const canonical = JSON.stringify(['campus', key, item_id, qty, user_id])
  return new Bun.CryptoHasher('sha256').update(canonical).digest('hex').slice(0, 32)
}

function idempotencyKey(context: Context): string | undefined {
  const key = context.req.header('idempotency-key')
  if (key === undefined) return undefined
  if (/^[\x21-\x7e]+$/.test(key) && key.length <= KEY_LENGTH_MAX) return key
  const message = `must be 1 to ${KEY_LENGTH_MAX} visible ASCII characters`
  const issues = [{ field: 'Idempotency-Key', message }]
  throw new HttpProblem(400, `Idempotency-Key: ${message}`, { issues })
}
