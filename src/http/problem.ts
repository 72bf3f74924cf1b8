/**
 * Errors over HTTP as RFC 9457 problem documents, and bodies that are read whole or refused whole.
 *
 * Invariant: an answer names the field that is wrong and never shows a stack.
 */
import type { Context } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import * as v from 'valibot'

export interface FieldIssue {
  /** Dotted path of the field; empty for the body itself. */
  readonly field: string
  readonly message: string
}

/** Thrown by handlers; `problemOf` turns it into the answer. */
export class HttpProblem extends Error {
  override readonly name: string = 'HttpProblem'
  readonly status: ContentfulStatusCode
  readonly issues: readonly FieldIssue[]
  readonly headers: Readonly<Record<string, string>>

  constructor(
    status: ContentfulStatusCode,
    message: string,
    options: {
      readonly issues?: readonly FieldIssue[]
      readonly headers?: Readonly<Record<string, string>>
    } = {},
  ) {
    super(message)
    this.status = status
    this.issues = options.issues ?? []
    this.headers = options.headers ?? {}
  }
}

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad request',
  404: 'Not found',
  409: 'Conflict',
  413: 'Body too large',
  415: 'Unsupported media type',
  421: 'Misdirected request',
  500: 'Internal error',
  503: 'Unavailable',
}

/** The problem document of RFC 9457, with `issues` for fields. */
export function answerProblem(context: Context, problem: HttpProblem): Response {
  const { status, message, issues, headers } = problem
  const body = {
    type: 'about:blank',
    title: TITLES[status] ?? 'Error',
    status,
    detail: message,
    ...(issues.length === 0 ? {} : { issues }),
  }
  return context.body(JSON.stringify(body), status, {
    ...headers,
    'content-type': 'application/problem+json',
  })
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true })

/** Reads, decodes and checks a JSON body of at most `bytesMax`. Throws HttpProblem 400, 413 or 415. */
export async function readBody<const S extends v.GenericSchema>(
  request: Request,
  schema: S,
  bytesMax: number,
): Promise<v.InferOutput<S>> {
  const type = request.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase()
  if (type !== 'application/json')
    throw new HttpProblem(415, `the body must be application/json, not ${type ?? 'untyped'}`)
  const text = decode(await readBytes(request, bytesMax))
  const result = v.safeParse(schema, parse(text), { abortPipeEarly: true })
  if (result.success) return result.output
  const issues = result.issues.map((issue) => ({
    field: v.getDotPath(issue) ?? '',
    message: issue.message,
  }))
  const first = issues[0]
  throw new HttpProblem(400, `${first?.field || 'body'}: ${first?.message}`, { issues })
}

async function readBytes(request: Request, bytesMax: number): Promise<Uint8Array> {
  const tooLarge = (): never => {
    throw new HttpProblem(413, `the body must have at most ${bytesMax} bytes`)
  }
  // Refused before it is read, where the sender says how long it is.
  if (Number(request.headers.get('content-length') ?? 0) > bytesMax) tooLarge()
  const bytes = await request.bytes()
  if (bytes.length > bytesMax) tooLarge()
  return bytes
}

function decode(bytes: Uint8Array): string {
  try {
    return strictUtf8.decode(bytes)
  } catch {
    throw new HttpProblem(400, 'body: is not valid UTF-8')
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new HttpProblem(400, 'body: is not valid JSON')
  }
}
