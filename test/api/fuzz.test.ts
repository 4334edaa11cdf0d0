/**
 * The API against its own document: requests made from its schemas, some bent, by every role, on a real database whose
 * notes hold a planted word. Whatever is asked: no defect, no status and no shape that the document does not have, no
 * role further than it says, and the planted word nowhere but where values were asked for by whom they may be seen.
 */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { type PostgresServer, startPostgres } from '../../scripts/support/postgres-server.ts'
import { TOKEN_ROLES, type TokenRole } from '../../src/repository/access/tokens.ts'
import { openSource } from '../../src/source/open.ts'
import { LAYOUT, onDatabase, SCHEMA } from '../restore/patient/small-ward.ts'
import { toLayout } from '../support/layout.ts'
import { makeRepository, type TestRepository } from '../support/repository.ts'
import { arbitraryOf, bent, type Pool, type Schema } from './schema-arbitrary.ts'
import { aJob, makeApi, START_MS, type TestApi } from './support.ts'

vi.setConfig({ testTimeout: 300_000, hookTimeout: 120_000 })

const PLANTED = 'PLANTED-丁戊己'
const RUNS = 400

interface Parameter {
  readonly name: string
  readonly in: 'path' | 'query' | 'header'
  readonly required?: boolean
  readonly schema: Schema
}

interface Operation {
  readonly 'x-roles'?: readonly TokenRole[]
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly content: { readonly 'application/json': { readonly schema: Schema } } }
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: Schema }>> }>
  >
}

interface ApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly schemas: Readonly<Record<string, object>> }
}

interface Asked {
  readonly role: TokenRole
  readonly path: string
  readonly filled: string
  readonly operation: Operation
  readonly body: unknown
}

let server: PostgresServer
let made: TestRepository
let api: TestApi
let document: ApiDocument
let pool: Pool
const tokens = new Map<TokenRole, string>()

beforeAll(async () => {
  server = await startPostgres()
  made = await makeRepository()
  const url = await server.createDatabase('ward')
  await onDatabase(url, `${SCHEMA}; UPDATE note SET body = '${PLANTED}'`)
  await using source = await openSource({ url })
  const snapshot = await made.snapshot(source, toLayout({ ...LAYOUT, exclude: [] }), START_MS - 60_000)
  await onDatabase(url, 'DELETE FROM note WHERE note_id % 2 = 0')
  const sources = { icu: { url, ...LAYOUT, writer: { url } } }
  const limits = { burst: 100_000, failuresOfToken: 1e9, failuresOfAddress: 1e9 }
  api = await makeApi({ repository: made.repository, sources, limits })
  for (const role of TOKEN_ROLES) tokens.set(role, await api.token(role))
  document = (await api.ask('/openapi.json')).json as unknown as ApiDocument
  pool = await whatIsThere(snapshot)
})

afterAll(async () => {
  await made?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
})

async function whatIsThere(snapshot: string): Promise<Pool> {
  api.service.known.set('check-1', aJob('check-1', 'x'))
  const ask = { token: tokens.get('operator')!, body: { patient: '2', purpose: 'fuzzing' } }
  const plan = (await api.ask('/v1/sources/icu/plans', ask)).json
  return {
    source: ['icu'],
    snapshot: [snapshot],
    plan: [plan.planId],
    sha256: [plan.sha256],
    job: ['check-1'],
    patient: ['2', '3'],
    text: ['M2', '3'],
    at: ['latest', snapshot, '2026-01-03T00:00:00Z', 'now', '0/1'],
    purpose: ['fuzzing'],
    tables: ['public.note'],
  }
}

function requests(): fc.Arbitrary<Asked> {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.values(methods).map((operation) => ({ path, operation })),
  )
  return fc
    .tuple(fc.constantFrom(...operations), fc.constantFrom(...TOKEN_ROLES))
    .chain(([{ path, operation }, role]) => {
      const parameters = (operation.parameters ?? []).filter((parameter) => parameter.in !== 'header')
      const values = fc.record(
        Object.fromEntries(parameters.map(({ name, schema }) => [name, arbitraryOf(schema, name, pool)])),
      )
      const schema = operation.requestBody?.content['application/json'].schema
      const fitting = schema ? arbitraryOf(schema, '', pool) : fc.constant(undefined)
      const body = schema
        ? fc.oneof({ arbitrary: fitting, weight: 2 }, { arbitrary: bent(fitting), weight: 1 })
        : fitting
      return fc.record({
        role: fc.constant(role),
        path: fc.constant(path),
        operation: fc.constant(operation),
        filled: values.map((each) => fill(path, parameters, each)),
        body,
      })
    })
}

function fill(path: string, parameters: readonly Parameter[], values: Readonly<Record<string, unknown>>): string {
  const query = new URLSearchParams()
  let filled = path
  for (const { name, in: where, required } of parameters) {
    const text = String(values[name])
    if (where === 'path') filled = filled.replace(`{${name}}`, encodeURIComponent(text))
    else if (required || text.length % 2 === 0) query.set(name, text)
  }
  return query.size === 0 ? filled : `${filled}?${query}`
}

/** As a schema that checks, with the document's own definitions. */
function checker(schema: Schema): z.ZodType {
  const definitions = document.components.schemas
  const text = JSON.stringify({ ...schema, $defs: definitions }).replaceAll('#/components/schemas/', '#/$defs/')
  return z.fromJSONSchema(JSON.parse(text))
}

describe('the API', () => {
  it('keeps to its document, its roles and its silence, whatever is asked', async () => {
    const seen = new Map<string, number>()

    await fc.assert(
      fc.asyncProperty(requests(), async ({ role, path, filled, operation, body }) => {
        const answer = await api.ask(filled, { token: tokens.get(role)!, ...(body !== undefined && { body }) })

        const { status, text, headers } = answer
        seen.set(`${status}`, (seen.get(`${status}`) ?? 0) + 1)
        expect([status, api.answered.at(-1)?.defect]).not.toEqual([500, expect.anything()])
        const declared = operation.responses[String(status)]?.content ?? {}
        const type = headers.get('content-type')?.split(';')[0] ?? ''
        expect([path, status, Object.keys(declared)]).toEqual([path, status, expect.arrayContaining([type])])
        if (type.includes('json')) expect(checker(declared[type]!.schema).safeParse(answer.json).error).toBeUndefined()
        const roles = operation['x-roles']
        if (roles && !roles.includes(role)) expect(status).toBe(403)
        if (!mayShowValues(path, body)) expect(text).not.toContain(PLANTED)
      }),
      { numRuns: RUNS },
    )

    // Had it been refused all along, nothing would have been tried.
    expect(seen.get('200') ?? 0).toBeGreaterThan(RUNS / 20)
    expect(seen.get('400') ?? 0).toBeGreaterThan(RUNS / 40)
  })

  it('left the planted word in no record, and in no name of an object', async () => {
    const names: string[] = []
    for await (const { key } of made.repository.store.list('')) names.push(key)
    const audit = await made.repository.audit.read()

    expect(JSON.stringify([names, audit, api.answered])).not.toContain('PLANTED')
    expect(names.filter((name) => name.startsWith('plans/')).length).toBeGreaterThan(0)
  })
})

function mayShowValues(path: string, body: unknown): boolean {
  if (path === '/v1/plans/{plan}/preview') return (body as { showValues?: unknown }).showValues === true
  return false
}
