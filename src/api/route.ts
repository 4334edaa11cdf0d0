/**
 * One path of the API: what `/openapi.json` says of it, who may ask, and a function that answers.
 *
 * Requests are taken apart here and parsed by their schemas before anything is done; what a result's schema does not
 * name is not sent. A route translates, and decides nothing.
 */
import { type OpenAPIHono, z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { Failure } from '../errors.ts'
import { TOKEN_ROLES, type TokenRole } from '../repository/access/tokens.ts'
import { type Caller, refuseOtherRoles } from './authentication.ts'
import { readBody } from './body.ts'
import type { ApiLimits } from './dependencies.ts'
import { invalidRequest, PROBLEM_TYPE, problemSchema } from './problem.ts'

export interface ApiEnv {
  Variables: {
    requestId: string
    /** Null where nobody has to say who they are. */
    caller: Caller | null
    /** Fires when the answer is late, the client has gone, or the service stops. */
    signal: AbortSignal
    route: string
    defect: string | null
  }
}

export type ApiContext = Context<ApiEnv>

export const ANYBODY: readonly TokenRole[] = TOKEN_ROLES

export interface RouteText {
  readonly method: 'get' | 'post'
  /** With names in braces. */
  readonly path: string
  readonly summary: string
  readonly description?: string
  readonly tag: string
}

export interface RouteShape<Params, Query, Body, Result> extends RouteText {
  /** Who may ask; `open` for everybody, without a token. */
  readonly roles: readonly TokenRole[] | 'open'
  readonly params?: z.ZodType<Params>
  readonly query?: z.ZodType<Query>
  readonly body?: z.ZodType<Body>
  readonly result: z.ZodType<Result>
  readonly status?: 200 | 201 | 202
  /** An `Idempotency-Key` is taken. */
  readonly once?: boolean
  /** It waits its turn: it folds a log, or holds a connection. */
  readonly heavy?: boolean
  /** It writes: it is not cut short by a client that goes away. */
  readonly writes?: boolean
}

export interface Asked<Params, Query, Body> {
  readonly params: Params
  readonly query: Query
  readonly body: Body
  readonly caller: Caller
  readonly signal: AbortSignal
  readonly requestId: string
}

export interface Routes {
  readonly app: OpenAPIHono<ApiEnv>
  readonly limits: ApiLimits
  /** How a request of the shape is carried out: its turn, its time, its key. */
  carryOut(context: ApiContext, shape: CarryOut, work: (signal: AbortSignal) => Promise<Response>): Promise<Response>
}

export interface CarryOut {
  readonly once: boolean
  readonly heavy: boolean
  readonly writes: boolean
  readonly caller: Caller | null
  readonly body: Uint8Array | null
}

const OPEN_CALLER: Caller = { tokenId: '', person: '', role: 'viewer', expiresAt: '', actor: '' }

export function define<Params, Query, Body, Result>(
  routes: Routes,
  shape: RouteShape<Params, Query, Body, Result>,
  answer: (asked: Asked<Params, Query, Body>) => Promise<Result>,
): void {
  document(routes.app, shape, { 'application/json': { schema: shape.result } })
  answerBy(routes, shape, async (asked) => {
    const result = shape.result.parse(await answer(asked))
    return Response.json(result, { status: shape.status ?? 200 })
  })
}

/** As `define`, for answers that are no JSON object. */
export function defineRaw<Params, Query, Body>(
  routes: Routes,
  shape: Omit<RouteShape<Params, Query, Body, unknown>, 'result'> & { readonly contentType: string },
  answer: (asked: Asked<Params, Query, Body>) => Promise<Response>,
): void {
  const result: z.ZodType<unknown> = shape.contentType === 'application/json' ? z.looseObject({}) : z.string()
  document(routes.app, { ...shape, result }, { [shape.contentType]: { schema: result } })
  answerBy(routes, { ...shape, result }, answer)
}

function answerBy<Params, Query, Body, Result>(
  routes: Routes,
  shape: RouteShape<Params, Query, Body, Result>,
  answer: (asked: Asked<Params, Query, Body>) => Promise<Response>,
): void {
  routes.app.on(shape.method.toUpperCase(), shape.path.replaceAll(/\{(\w+)\}/g, ':$1'), async (context) => {
    context.set('route', shape.path)
    const caller = context.get('caller')
    if (shape.roles !== 'open') {
      if (caller === null) throw new Failure('token-refused', 'no token, or none that is good')
      refuseOtherRoles(caller, shape.roles)
    }
    const bytes = shape.body ? await readBody(context, routes.limits.bodyBytesMax) : null
    const parts = {
      params: parsed('path', shape.params, context.req.param()) as Params,
      query: parsed('query', shape.query, context.req.query()) as Query,
      body: parsed('body', shape.body, bytes?.value) as Body,
      requestId: context.get('requestId'),
    }
    const order = {
      once: shape.once ?? false,
      heavy: shape.heavy ?? false,
      writes: shape.writes ?? false,
      caller,
      body: bytes?.bytes ?? null,
    }
    return await routes.carryOut(context, order, (signal) =>
      answer({ ...parts, caller: caller ?? OPEN_CALLER, signal }),
    )
  })
}

function parsed<Value>(part: string, schema: z.ZodType<Value> | undefined, value: unknown): Value | undefined {
  if (!schema) return undefined
  const result = schema.safeParse(value)
  if (result.success) return result.data
  throw invalidRequest(part, result.error)
}

const PROBLEMS: Readonly<Record<'usual' | 'token' | 'body', readonly number[]>> = {
  usual: [400, 404, 409, 429, 500, 501, 502, 503, 504, 507],
  token: [401, 403],
  body: [413],
}

function document(
  app: OpenAPIHono<ApiEnv>,
  shape: RouteShape<unknown, unknown, unknown, unknown>,
  content: Readonly<Record<string, { readonly schema: z.ZodType }>>,
): void {
  const isOpen = shape.roles === 'open'
  const statuses = [...PROBLEMS.usual, ...(isOpen ? [] : PROBLEMS.token), ...(shape.body ? PROBLEMS.body : [])]
  const problem = {
    description: 'refused, or failed: `code` says why',
    content: { [PROBLEM_TYPE]: { schema: problemSchema } },
  }
  const once = z.object({ 'idempotency-key': idempotencyKey.optional() })
  app.openAPIRegistry.registerPath({
    method: shape.method,
    path: shape.path,
    summary: shape.summary,
    tags: [shape.tag],
    ...(shape.description !== undefined && { description: shape.description }),
    ...(isOpen ? {} : { security: [{ token: [] }], 'x-roles': shape.roles }),
    request: {
      ...(shape.params && { params: objectOf(shape.params) }),
      ...(shape.query && { query: objectOf(shape.query) }),
      ...(shape.once && { headers: once }),
      ...(shape.body && { body: { required: true, content: { 'application/json': { schema: shape.body } } } }),
    },
    responses: {
      [shape.status ?? 200]: { description: 'done', content },
      ...Object.fromEntries(statuses.map((status) => [status, problem])),
    },
  })
}

function objectOf(schema: z.ZodType): z.ZodObject {
  if (schema instanceof z.ZodObject) return schema
  throw new Failure('defect', 'parameters of a route are an object')
}

export const idempotencyKey = z.string().regex(/^[\x21-\x7e]{1,200}$/)
