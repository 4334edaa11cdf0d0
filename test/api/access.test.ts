/** Who is heard, as what, how often, and what is said to those who are not. */
import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { revokeToken, TOKEN_ROLES } from '../../src/repository/access/tokens.ts'
import { planKey, timedId } from '../../src/repository/layout.ts'
import { OBJECT_TYPES } from '../../src/repository/sealed-object.ts'
import { aJob, makeApi, START_MS } from './support.ts'

const MINUTE_MS = 60_000

interface Operation {
  readonly 'x-roles'?: readonly string[]
  readonly requestBody?: object
}

/** Every path by its method, as the document has it. */
async function operations(api: Awaited<ReturnType<typeof makeApi>>): Promise<[string, string, Operation][]> {
  const { paths } = (await api.ask('/openapi.json')).json as { paths: Record<string, Record<string, Operation>> }
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, string, Operation] => [path, method, operation]),
  )
}

function filled(path: string): string {
  return path
    .replace('{source}', 'icu')
    .replace(/\{(plan|snapshot)\}/, '20260103T000000Z-00000000')
    .replace('{changeset}', '20260103T000000Z-00000000.00000000')
    .replace('{certificate}', 'CK-20260103T000000Z-00000000')
    .replace(/\{(job|alarm|drill)\}/, 'check-1')
}

describe('a token', () => {
  it('is wanted everywhere but where a watch must get an answer', async () => {
    const api = await makeApi()
    const open: string[] = []
    for (const [path, method, operation] of await operations(api)) {
      const { status, json } = await api.ask(filled(path), operation.requestBody ? { body: {} } : {})
      if (status === 401) expect([path, json.code]).toEqual([path, 'token-refused'])
      else open.push(`${method} ${path}`)
    }

    expect(open).toEqual(['get /health'])
  })

  it('is refused in the same words, whatever is wrong with it', async () => {
    const api = await makeApi()
    const good = await api.token('viewer')
    const wrong = [
      undefined,
      '',
      'x',
      `${good}x`,
      `${good.slice(0, -2)}AA`,
      good.replace('2026', '2025'),
      good.toLowerCase(),
    ]

    const answers = []
    for (const token of wrong) answers.push(await api.ask('/v1/me', token === undefined ? {} : { token }))

    expect(answers.map(({ status }) => status)).toEqual(wrong.map(() => 401))
    expect(new Set(answers.map(({ json }) => json.detail)).size).toBe(1)
    expect(await api.ask('/v1/me', { token: good })).toMatchObject({ status: 200, json: { role: 'viewer' } })
  })

  it('ends when it was to end', async () => {
    const api = await makeApi()
    const token = await api.token('viewer')
    await api.ask('/v1/me', { token })

    api.clock.nowMs += 25 * 60 * MINUTE_MS

    expect(await api.ask('/v1/me', { token })).toMatchObject({ status: 401 })
  })

  it('is refused within seconds of being revoked, also by a service that knows it', async () => {
    const api = await makeApi()
    const token = await api.token('viewer')
    expect((await api.ask('/v1/me', { token })).status).toBe(200)

    const tokenId = token.split('_')[1]!
    await revokeToken(api.repository.sealed, { tokenId, revokedAt: '2026-01-03T00:00:00.000Z', reason: 'left' })
    api.clock.nowMs += 2_000

    expect((await api.ask('/v1/me', { token })).status).toBe(401)
  })

  it('that is guessed at is locked, also for who has it, and that is in the audit', async () => {
    const api = await makeApi()
    const good = await api.token('viewer')
    const guess = `${good.slice(0, -3)}AAA`
    for (let n = 0; n < 5; n += 1) expect((await api.ask('/v1/me', { token: guess })).status).toBe(401)

    const locked = await api.ask('/v1/me', { token: good })

    expect([locked.status, Number(locked.headers.get('retry-after'))]).toEqual([429, 900])
    const audit = await api.repository.audit.read()
    expect(audit.at(-1)).toMatchObject({ action: 'api.lock-out', outcome: 'refused' })
    api.clock.nowMs += 15 * MINUTE_MS
    expect((await api.ask('/v1/me', { token: good })).status).toBe(200)
  })

  it('that asks too often is told when to come again', async () => {
    const api = await makeApi({ limits: { requestsPerSecond: 2, burst: 3 } })
    const token = await api.token('viewer')
    const statuses = []
    for (let n = 0; n < 4; n += 1) statuses.push((await api.ask('/v1/me', { token })).status)

    expect(statuses).toEqual([200, 200, 200, 429])
    api.clock.nowMs += 500
    expect((await api.ask('/v1/me', { token })).status).toBe(200)
  })

  it('does not stand in the repository: its digest does', async () => {
    const api = await makeApi()
    const secret = (await api.token('viewer')).split('_').slice(2).join('_')
    const { sealed } = api.repository
    const plain = await Promise.all((await sealed.names('tokens/')).map((name) => sealed.read(name, 33)))

    expect(plain.length).toBe(1)
    expect(plain.some((bytes) => Buffer.from(bytes).includes(secret))).toBe(false)
  })
})

describe('a role', () => {
  it.each(TOKEN_ROLES)('%s gets exactly as far as the document says', async (role) => {
    const api = await makeApi({ limits: { burst: 1_000 } })
    const token = await api.token(role)
    for (const [path, , operation] of await operations(api)) {
      const roles = operation['x-roles']
      if (!roles) continue
      const { status, json } = await api.ask(filled(path), operation.requestBody ? { token, body: {} } : { token })
      expect([path, json.code === 'role-refused', status === 403]).toEqual([
        path,
        !roles.includes(role),
        !roles.includes(role),
      ])
    }
  })

  it('that looks at patients is one alone', async () => {
    const api = await makeApi()
    const found = (await operations(api)).filter(([path]) => path.includes('/patients/') || path.endsWith('/apply'))

    expect(found.map(([, , operation]) => operation['x-roles'])).toEqual(found.map(() => ['operator']))
    expect(found.length).toBeGreaterThan(2)
  })
})

describe('a request', () => {
  it('is answered under an id, not to be kept, and with nothing but what was declared', async () => {
    const api = await makeApi()
    const { headers, json } = await api.ask('/v1/me', { token: await api.token('auditor', 'Zhao Min') })

    expect(json).toEqual({
      person: 'Zhao Min',
      role: 'auditor',
      token: expect.any(String),
      expiresAt: '2026-01-04T00:00:00.000Z',
    })
    expect(headers.get('x-request-id')).toMatch(/^[0-9a-f]{16}$/)
    expect(headers.get('cache-control')).toBe('no-store')
  })

  it('is answered with nothing that the document does not name, whatever lies below gives', async () => {
    const api = await makeApi()
    const job = { ...aJob('check-1', 'x'), rows: ['PLANTED'] }
    api.service.known.set('check-1', job)
    const { status, text } = await api.ask('/v1/jobs/check-1', { token: await api.token('viewer') })

    expect([status, text.includes('PLANTED')]).toEqual([200, false])
  })

  it('whose body is too large is refused before it is read to its end', async () => {
    const api = await makeApi()
    const token = await api.token('operator')
    let sent = 0
    const endless = new ReadableStream({
      pull: (controller) => {
        sent += 64 * 1024
        controller.enqueue(new Uint8Array(64 * 1024).fill(0x20))
      },
    })
    const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' }
    const options = { method: 'POST', headers, body: endless, duplex: 'half' }

    const response = await api.api.request('/v1/jobs', options as RequestInit)

    expect(response.status).toBe(413)
    expect(sent).toBeLessThan(1024 * 1024)
  })

  it.each([
    ['no JSON', '{', {}],
    ['another type', '{}', { 'Content-Type': 'text/plain' }],
    ['a field too many', '{"kind":"check","reason":"because","x":1}', {}],
    ['bytes that are no UTF-8', '\ud800', {}],
  ])('with %s is a problem document, and quotes nothing', async (_what, body, headers) => {
    const api = await makeApi()
    const answer = await api.ask('/v1/jobs', { token: await api.token('operator'), body, headers })

    expect(answer.status).toBe(400)
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect(answer.json).toMatchObject({ code: 'bad-usage', status: 400, requestId: answer.headers.get('x-request-id') })
  })

  it('of a path that is not there is a problem document', async () => {
    const api = await makeApi()
    expect(await api.ask('/v1/nothing', { token: await api.token('viewer') })).toMatchObject({
      status: 404,
      json: { code: 'not-found' },
    })
  })

  it('that meets a defect tells its id and nothing of it; the log has its place (F42)', async () => {
    const api = await makeApi()
    api.service.jobs.list = async () => {
      throw new TypeError('PLANTED name of a patient')
    }
    const answer = await api.ask('/v1/jobs', { token: await api.token('viewer') })

    expect([answer.status, answer.json.code]).toEqual([500, 'defect'])
    expect(answer.text + JSON.stringify(api.answered)).not.toContain('PLANTED')
    expect(api.answered.at(-1)).toMatchObject({ route: '/v1/jobs', defect: expect.stringContaining('TypeError') })
  })
})

describe('what keeps watch', () => {
  it('gets health from memory, and 503 when the loop stands', async () => {
    const api = await makeApi()
    api.repository.store.list = () => {
      throw new Error('the store was asked')
    }
    expect(await api.ask('/health')).toMatchObject({ status: 200, json: { alive: true } })
    api.service.alive = false
    expect((await api.ask('/health')).status).toBe(503)
  })

  it('gets figures of the service and of the API, by path as the document has it', async () => {
    const api = await makeApi()
    const token = await api.token('viewer')
    await api.ask('/v1/jobs/PLANTED-1', { token })
    const { text } = await api.ask('/metrics', { token })

    expect(text).toContain('chartkeep_up 1')
    expect(text).toContain('chartkeep_api_requests_total{route="/v1/jobs/{job}",status="404"} 1')
    expect(text).not.toContain('PLANTED')
  })

  it('follows a job by events until it ends', async () => {
    const api = await makeApi()
    const at = new Date(START_MS).toISOString()
    const job = aJob('check-1', 'Wang Fang')
    api.service.known.set(job.id, job)
    api.service.events.push(
      { type: 'job', at, job },
      { type: 'note', at, text: 'half' },
      { type: 'job', at, job: { ...job, state: 'done' } },
    )

    const { status, headers, text } = await api.ask('/v1/jobs/check-1/events', { token: await api.token('viewer') })

    expect([status, headers.get('content-type')]).toEqual([200, 'text/event-stream'])
    expect(text.match(/^event: \w+/gm)).toEqual(['event: job', 'event: note', 'event: job'])
    expect(text).toContain('"state":"done"')
  })

  it('opens only so many streams at a time', async () => {
    const api = await makeApi({ limits: { streams: 1 } })
    api.service.known.set('check-1', aJob('check-1', 'x'))
    const { promise, resolve } = Promise.withResolvers<void>()
    api.service.jobs.follow = async function* () {
      await promise
      yield* []
    }
    const token = await api.token('viewer')
    const first = api.ask('/v1/jobs/check-1/events', { token })
    await expect.poll(async () => (await api.ask('/v1/jobs/check-1/events', { token })).status).toBe(429)
    resolve()
    expect((await first).status).toBe(200)
    expect((await api.ask('/v1/jobs/check-1/events', { token })).status).toBe(200)
  })
})

describe('a plan of a month ago', () => {
  it('is removed beside a request, a later one is not', async () => {
    const api = await makeApi()
    const days = [31, 29].map((ago) => timedId(START_MS - ago * 24 * 60 * MINUTE_MS, randomBytes(4)))
    for (const id of days) await api.repository.sealed.write(planKey(id), OBJECT_TYPES.storedPlan, Buffer.from('{}'))
    const token = await api.token('viewer')
    const left = async () => (await api.ask('/v1/plans', { token })).json.plans
    await expect.poll(left).toEqual([days[1]])
  })
})
