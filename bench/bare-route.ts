/**
 * What an order costs an HTTP server at least: a Hono route that checks the body as campus does, and keeps nothing.
 *
 * Run as a program it serves, and prints where.
 */
import { Hono } from 'hono'
import * as v from 'valibot'
import { readBody } from '#http'

const BODY_BYTES_MAX = 8_192

const id = v.pipe(
  v.string(),
  v.nonEmpty(),
  v.maxLength(64),
  v.regex(/^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]*$/u),
)
const qty = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1_000))
const OrderRequest = v.strictObject({ item_id: id, qty, user_id: id })

const app = new Hono()
app.post('/order', async (context) => {
  const order = await readBody(context.req.raw, OrderRequest, BODY_BYTES_MAX)
  return context.json({ ...order, order_id: crypto.randomUUID(), status: 'placed' }, 202)
})

if (import.meta.main) {
  const { url } = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: app.fetch })
  console.log(`the route is ready on ${url.origin}`)
}
