/**
 * The HTTP face: takes orders and restocks, and shows where they stand.
 *
 * Invariant: 202 means that the order is durable; a refused request has written nothing.
 */
import { Hono, type Context } from 'hono'
import { openAPIRouteHandler } from 'hono-openapi'
import { streamSSE } from 'hono/streaming'
import { delay, type Clock, type Random } from '#millrace'
import { HttpProblem, answerProblem, readBody } from '#millrace/http'
import type { Applications } from './applications.ts'
import { describeRoute as describe } from './describe-route.ts'
import type { LiveViews } from './live-views.ts'
import { FORWARDED, TASKS } from './neighbours.ts'
import type { Asking, OrderLookup } from './order-lookup.ts'
import { addOrderRoutes, type OrderTaking } from './order-routes.ts'
import * as schemas from './schemas.ts'
import { tryAgain } from './try-again.ts'

export interface IngressParts {
  /** Undefined: this process takes no orders. */
  readonly taking: OrderTaking | undefined
  readonly lookup: OrderLookup
  readonly applications: Applications
  readonly views: LiveViews
  readonly clock: Clock
  readonly random: Random
  /** Aborted when shutting down: nothing new is taken, and nobody is kept waiting. */
  readonly draining: AbortSignal
}

const BODY_BYTES_MAX = 8_192
const HEARTBEAT_MS = 4_000

export interface Ingress {
  readonly fetch: (request: Request) => Response | Promise<Response>
  /** Orders answered with 202 since the start. */
  readonly accepted: () => number
}

export function createIngress(parts: IngressParts): Ingress {
  const { lookup, applications, views, clock, draining } = parts
  const app = new Hono()
  const accepted = addOrderRoutes(app, parts)

  app.get('/orders/:order_id', describe('Where an order stands'), async (context) => {
    const found = await lookup.find(context.req.param('order_id'), askingOf(context))
    if (found === undefined) throw new HttpProblem(404, 'there is no such order')
    return context.json(found)
  })

  app.get('/orders/:order_id/events', describe('Follow an order (SSE)'), async (context) => {
    const orderId = context.req.param('order_id')
    const asking = askingOf(context)
    if ((await lookup.find(orderId, asking)) === undefined)
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
          // Who has it may be on the move: the outcome then comes with the next look.
          const order = await lookup.find(orderId, asking).catch(() => undefined)
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

  app.get('/inventory', describe('What is on the shelves'), async (context) => {
    const { rows, tasks } = await lookup.stock(askingOf(context))
    return context.json(rows, 200, { [TASKS]: tasks.join(',') })
  })
  app.get('/inventory/:item_id', describe('One item'), async (context) => {
    const item = await lookup.item(context.req.param('item_id'), askingOf(context))
    if (item === undefined) throw new HttpProblem(404, 'there is no such item')
    return context.json(item)
  })

  app.get('/metrics/orders', describe('Closed minutes'), (context) => context.json(views.minutes))

  app.get('/applications', describe('What runs here'), async (context) => {
    const list = applications.ids.map(async (id) => ({
      id,
      state: applications.state(id),
      lag: await applications.lag(id),
      ...applications.share(id),
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
      ? tryAgain('the log does not answer')
      : new HttpProblem(500, 'something went wrong on our side')
    return answerProblem(context, problem)
  })
  return { fetch: (request) => app.fetch(request), accepted }
}

/** What a neighbour asks is answered from what is here, and asked of nobody else. */
function askingOf(context: Context): Asking {
  return { mayAsk: context.req.header(FORWARDED) === undefined }
}
