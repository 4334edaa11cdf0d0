/** The API over a real repository, with a service that does nothing but say that it is there. */
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { stringify } from 'yaml'
import { type Api, type ApiDependencies, createApi } from '../../src/api/application.ts'
import { parseConfiguration } from '../../src/config.ts'
import { Failure } from '../../src/errors.ts'
import { createToken, type TokenRole } from '../../src/repository/access/tokens.ts'
import type { Repository } from '../../src/repository/repository.ts'
import { initRepository } from '../../src/repository/repository-lifecycle.ts'
import type { Job, JobEvent, Service } from '../../src/service/contract.ts'
import { MemoryStore } from '../support/memory-store.ts'
import { never } from '../support/repository.ts'

export const START_MS = Date.UTC(2026, 0, 3)
const DAY_MS = 86_400_000
/** A passphrase would be stretched for most of a second, every time. */
const QUICK_SECRET = { kind: 'key-file', bytes: randomBytes(32) } as const

export interface TestApi {
  readonly api: Api
  readonly repository: Repository
  readonly service: FakeService
  /** Set it to let time pass. */
  readonly clock: { nowMs: number }
  readonly answered: { route: string; status: number; defect: string | null }[]
  token(role: TokenRole, person?: string): Promise<string>
  /** `body` makes it a POST. */
  ask(path: string, options?: AskOptions): Promise<Answer>
}

export interface AskOptions {
  readonly token?: string
  readonly body?: unknown
  readonly key?: string
  readonly headers?: Readonly<Record<string, string>>
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  // A test knows what it asked for.
  readonly json: Readonly<Record<string, unknown>>
}

export interface TestApiOptions extends Partial<Pick<ApiDependencies, 'limits' | 'repository'>> {
  readonly startMs?: number
  readonly sources?: Readonly<Record<string, object>>
}

export async function makeApi(options: TestApiOptions = {}): Promise<TestApi> {
  const repository = options.repository ?? (await memoryRepository())
  const sources = options.sources ?? { icu: { url: 'postgres://nobody@127.0.0.1:1/icu' } }
  const file = stringify({ repository: { url: 'file:///nowhere' }, sources })
  const clock = { nowMs: options.startMs ?? START_MS }
  const service = fakeService()
  const answered: TestApi['answered'] = []
  const api = createApi({
    configuration: parseConfiguration(file, { path: 'test.yaml' }),
    repository,
    service,
    world: noWorld,
    temporaryDirectory: tmpdir(),
    nowMs: () => clock.nowMs,
    random: randomBytes,
    signal: never(),
    onAnswered: (record) => answered.push(record),
    ...(options.limits && { limits: options.limits }),
  })
  const ask = async (path: string, asked: AskOptions = {}) =>
    await answerOf(await api.request(path, requestInit(asked)))
  const token = async (role: TokenRole, person = `somebody as ${role}`) => {
    const wanted = { role, person, nowMs: clock.nowMs, expiresMs: clock.nowMs + DAY_MS, random: randomBytes }
    return (await createToken(repository.sealed, wanted)).shownOnce
  }
  return { api, repository, service, clock, answered, token, ask }
}

export function requestInit({ token, body, key, headers }: AskOptions): RequestInit {
  const sent = new Headers(headers)
  if (token !== undefined) sent.set('Authorization', `Bearer ${token}`)
  if (key !== undefined) sent.set('Idempotency-Key', key)
  if (body === undefined) return { headers: sent }
  if (!sent.has('Content-Type')) sent.set('Content-Type', 'application/json')
  return { method: 'POST', headers: sent, body: typeof body === 'string' ? body : JSON.stringify(body) }
}

async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text()
  const isJson = /json/.test(response.headers.get('content-type') ?? '')
  return { status: response.status, headers: response.headers, text, json: isJson ? JSON.parse(text) : {} }
}

async function memoryRepository(): Promise<Repository> {
  const world = { nowMs: () => START_MS, random: randomBytes }
  return (await initRepository(new MemoryStore(), { url: 'memory:' }, [QUICK_SECRET], world)).repository
}

const noWorld: ApiDependencies['world'] = {
  variables: {},
  homeDirectory: '/nonexistent',
  userName: 'tester',
  readTextFile: async () => null,
  fileMode: async () => null,
}

export interface FakeService extends Service {
  readonly known: Map<string, Job>
  /** What a follower is told, one after another. */
  readonly events: JobEvent[]
  /** Whether its loop turns. */
  alive: boolean
  started: number
}

function fakeService(): FakeService {
  const known = new Map<string, Job>()
  const events: JobEvent[] = []
  const service: FakeService = {
    known,
    events,
    alive: true,
    started: 0,
    jobs: {
      list: async () => [...known.values()],
      find: async (id) => known.get(id) ?? null,
      start: async ({ kind, source, requestedBy }) => {
        service.started += 1
        const job = aJob(`${kind}-${service.started}`, requestedBy, { kind, source: source ?? null })
        known.set(job.id, job)
        return job
      },
      cancel: async (id) => {
        const job = known.get(id)
        if (job) known.set(id, { ...job, state: 'cancelled' })
      },
      follow: async function* () {
        yield* events
      },
    },
    alarms: {
      list: async () => [],
      acknowledge: async () => {
        throw new Failure('not-found', 'there is no such alarm')
      },
    },
    metrics: { contentType: 'text/plain', text: async () => 'chartkeep_up 1\n' },
    findings: async () => [],
    state: async () => ({
      role: 'leader',
      startedAt: new Date(START_MS).toISOString(),
      host: 'here',
      tasks: [],
      captures: [],
      openAlarms: 0,
    }),
    health: () => ({ isAlive: service.alive, role: 'leader', openAlarms: 0, secondsSinceLoop: 1 }),
  }
  return service
}

export function aJob(id: string, requestedBy: string, more: Partial<Job> = {}): Job {
  return {
    id,
    kind: 'check',
    source: null,
    state: 'running',
    cause: 'request',
    requestedBy,
    host: 'here',
    token: 1,
    attempt: 1,
    dueAt: null,
    startedAt: new Date(START_MS).toISOString(),
    endedAt: null,
    failure: null,
    result: null,
    ...more,
  }
}
