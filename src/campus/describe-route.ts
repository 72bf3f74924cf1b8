/**
 * What `/openapi.json` says of a route.
 *
 * Invariant: every route says that its errors are problem documents.
 */
import type { MiddlewareHandler } from 'hono'
import { describeRoute as describeInOpenApi, resolver } from 'hono-openapi'
import type { GenericSchema } from 'valibot'

export function describeRoute(
  summary: string,
  body?: GenericSchema,
  success: 200 | 202 = 200,
): MiddlewareHandler {
  const problem = { description: 'What was wrong', content: { 'application/problem+json': {} } }
  return describeInOpenApi({
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
