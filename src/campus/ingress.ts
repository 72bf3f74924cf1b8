/**
 * The HTTP face: takes orders and restocks, and shows where they stand.
 *
 * Invariant: 202 means that the order is durable; a refused request has written nothing.
 */
import { Hono, type Context } from 'hono'
import { describeRoute, openAPIRouteHandler, resolver } from 'hono-openapi'
import { streamSSE } from 'hono/streaming'
import type { GenericSchema } from 'valibot'
import { delay, type Clock, type Random } from '#millrace'
import { HttpProblem, answerProblem, readBody } from '#millrace/http'
import type { Applications } from './applications.ts'
import type { LiveViews } from './live-views.ts'
import { OrderLookup } from './order-lookup.ts'
import { placedAnswer, type OrderIntake, type Placed } from './order-intake.ts'
import type { Pressure } from './pressure.ts'
import type { Requests } from './requests.ts'
import * as schemas from './schemas.ts'

export interface IngressParts {
  readonly intake: OrderIntake
  readonly requests: Requests
  readonly applications: Applications
  readonly views: LiveViews
  readonly pressure: Pressure
  readonly clock: Clock
  readonly random: Random
  /** Aborted when shutting down: nothing new is taken, and nobody is kept waiting. */
  readonly draining: AbortSignal
}

const BODY_BYTES_MAX = 8_192
const KEY_LENGTH_MAX = 200
const HEARTBEAT_MS = 4_000
const RETRY_AFTER = { 'retry-after': '1' }

export interface Ingress {
  readonly fetch: (request: Request) => Response | Promise<Response>
  /** Orders answered with 202 since the start. */
  readonly accepted: () => number
}

export function createIngress(parts: IngressParts): Ingress {
  const { intake, requests, applications, views, pressure, clock, draining } = parts
  const lookup = new OrderLookup(applications, requests)
  const inFlight = new Map<string, Promise<Placed>>()
  let accepted = 0
  const app = new Hono()

  const refuseUnderPressure = (): void => {
    const reason = draining.aborted ? 'shutting down' : pressure.reason
    if (reason !== undefined)
      throw new HttpProblem(503, `${reason}: try again`, { headers: RETRY_AFTER })
  }

  /** One order a key: a second request with the key waits for the first, and gets its answer. */
  const place = async (order: schemas.Order, key: string | undefined): Promise<Placed> => {
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

  app.post('/order', describe('Place an order', schemas.OrderRequest, 202), async (context) => {
    const body = await readBody(context.req.raw, schemas.OrderRequest, BODY_BYTES_MAX)
    const key = idempotencyKey(context)
    refuseUnderPressure()
    const { item_id, qty, user_id } = body
    const order_id = key === undefined ? parts.random.uuid() : orderIdOf(key, body)
    const order = { order_id, item_id, qty, user_id, timestamp: clock.nowMs() }
    const placed = await place(order, key)
    if (!placed.sameBody)
      throw new HttpProblem(409, 'this Idempotency-Key was used with another body: use a new key')
    accepted += 1
    return context.json(placedAnswer(placed), 202)
  })

  app.get('/orders/:order_id', describe('Where an order stands'), async (context) => {
    const found = await lookup.find(context.req.param('order_id'))
    if (found === undefined) throw new HttpProblem(404, 'there is no such order')
    return context.json(found)
  })

  app.get('/orders/:order_id/events', describe('Follow an order (SSE)'), async (context) => {
    const orderId = context.req.param('order_id')
    if ((await lookup.find(orderId)) === undefined)
      throw new HttpProblem(404, 'there is no such order')
    return streamSSE(context, async (stream) => {
      const decided = new AbortController()
      const wake = (): void => decided.abort()
      // Subscribed before the look, so that an outcome between the two is not missed.
      const cancel = views.onOutcome(orderId, wake)
      draining.addEventListener('abort', wake)
      let told: string | undefined
      try {
        while (!stream.aborted && !draining.aborted) {
          const order = await lookup.find(orderId)
          if (order !== undefined && order.status !== told) {
            told = order.status
            await stream.writeSSE({ event: order.status, data: JSON.stringify(order) })
          } else await stream.write(': waiting\n\n')
          if (told !== undefined && told !== 'placed') return
          const wait = decided.signal.aborted ? 10 : HEARTBEAT_MS
          await delay(clock, wait, decided.signal.aborted ? undefined : decided.signal)
        }
      } finally {
        cancel()
        draining.removeEventListener('abort', wake)
      }
    })
  })

  app.get('/inventory', describe('What is on the shelves'), async (context) =>
    context.json(await stockOr503(lookup)),
  )
  app.get('/inventory/:item_id', describe('One item'), async (context) => {
    const items = await stockOr503(lookup)
    const item = items.find(({ item_id }) => item_id === context.req.param('item_id'))
    if (item === undefined) throw new HttpProblem(404, 'there is no such item')
    return context.json(item)
  })
  app.post('/stock', describe('Restock an item', schemas.StockRequest, 202), async (context) => {
    const restock = await readBody(context.req.raw, schemas.StockRequest, BODY_BYTES_MAX)
    refuseUnderPressure()
    await intake.restock(restock)
    return context.json(restock, 202)
  })

  app.get('/metrics/orders', describe('Closed minutes'), (context) => context.json(views.minutes))

  app.get('/applications', describe('What runs here'), async (context) => {
    const list = applications.ids.map(async (id) => ({
      id,
      state: applications.state(id),
      lag: await applications.lag(id),
    }))
    return context.json(await Promise.all(list))
  })
  for (const action of ['stop', 'start'] as const)
    app.post(
      `/applications/:id/${action}`,
      describe(`${action} an application`, schemas.ConfirmRequest),
      async (context) => {
        const id = context.req.param('id') ?? ''
        if (!applications.ids.includes(id)) throw new HttpProblem(404, 'no such application here')
        const { confirm } = await readBody(context.req.raw, schemas.ConfirmRequest, BODY_BYTES_MAX)
        if (confirm !== id) {
          const issues = [{ field: 'confirm', message: `must be "${id}"` }]
          throw new HttpProblem(400, `confirm: must be "${id}"`, { issues })
        }
        await applications[action](id)
        return context.json({ id, state: applications.state(id) })
      },
    )

  app.get('/healthz', describe('The process answers'), (context) => context.json({ status: 'ok' }))
  app.get('/readyz', describe('Everything runs'), (context) => {
    const states = Object.fromEntries(applications.ids.map((id) => [id, applications.state(id)]))
    const ready = !draining.aborted && Object.values(states).every((state) => state === 'running')
    return context.json(
      { status: ready ? 'ready' : 'not ready', applications: states },
      ready ? 200 : 503,
    )
  })
  app.get(
    '/openapi.json',
    openAPIRouteHandler(app, {
      documentation: { info: { title: 'campus', version: '0.1.0' } },
    }),
  )

  app.notFound((context) => answerProblem(context, new HttpProblem(404, 'there is no such page')))
  app.onError((error, context) => {
    if (error instanceof HttpProblem) return answerProblem(context, error)
    const unavailable = 'retriable' in error && error.retriable === true
    const problem = unavailable
      ? new HttpProblem(503, 'the log does not answer: try again', { headers: RETRY_AFTER })
      : new HttpProblem(500, 'something went wrong on our side')
    return answerProblem(context, problem)
  })
  return { fetch: (request) => app.fetch(request), accepted: () => accepted }
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

async function stockOr503(lookup: OrderLookup) {
  const items = await lookup.stock()
  if (items === undefined)
    throw new HttpProblem(503, 'the inventory is stopped: start it', { headers: RETRY_AFTER })
  return items
}

/** What `/openapi.json` says of a route. */
function describe(summary: string, body?: GenericSchema, success: 200 | 202 = 200) {
  const problem = { description: 'What was wrong', content: { 'application/problem+json': {} } }
  return describeRoute({
    summary,
    responses: { [success]: { description: 'Done' }, default: problem },
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: true,
            content: { 'application/json': { schema: resolver(body) } },
          },
        }),
  })
}
