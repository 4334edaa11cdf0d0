/** Failures as problem documents (RFC 9457): of the table what it says, of a defect nothing but that there was one. */
import { z } from '@hono/zod-openapi'
import { Failure, type FailureCode, failures, toFailureRecord } from '../errors.ts'

export const PROBLEM_TYPE = 'application/problem+json'

export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.enum(Object.keys(failures) as [FailureCode, ...FailureCode[]]),
    hints: z.array(z.string()),
    retry: z.boolean(),
    requestId: z.string(),
  })
  .openapi('Problem')

export type Problem = z.infer<typeof problemSchema>

/** Some say when to come again; else it is soon for whatever may pass by itself. */
const RETRY_SECONDS = 5

/** What nobody expected keeps its text off the wire: it may quote rows (F42). */
export function problemOf(error: unknown, requestId: string): Problem {
  const { code, message, hints } = toFailureRecord(error)
  const { http: status, retry } = failures[code]
  return {
    type: `urn:chartkeep:failure:${code}`,
    title: code.replaceAll('-', ' '),
    status,
    detail: code === 'defect' ? 'something in chartkeep itself went wrong; its log names the place' : message,
    code,
    hints: [...hints],
    retry,
    requestId,
  }
}

export function problemResponse(problem: Problem, retryAfterSeconds: number | null = null): Response {
  const headers = new Headers({ 'Content-Type': PROBLEM_TYPE })
  if (problem.code === 'token-refused') headers.set('WWW-Authenticate', 'Bearer')
  if (problem.retry) headers.set('Retry-After', String(retryAfterSeconds ?? RETRY_SECONDS))
  return new Response(JSON.stringify(problem), { status: problem.status, headers })
}

/** Which parts of a request are not as `/openapi.json` has them: where, and never what stood there. */
export function invalidRequest(part: string, error: z.ZodError): Failure {
  const places = error.issues
    .slice(0, 5)
    .map(({ path, code }) => `${[part, ...path.map(shownStep)].join('.')}: ${code}`)
  return new Failure('bad-usage', `the request is not as /openapi.json has it: ${places.join('; ')}`, {
    hints: ['See /openapi.json for what this path takes.'],
  })
}

/** Names of fields as we have them; of anything else its place. */
function shownStep(step: PropertyKey): string {
  return typeof step === 'string' && /^[a-zA-Z]{1,30}$/.test(step)
    ? step
    : String(typeof step === 'number' ? step : '?')
}
