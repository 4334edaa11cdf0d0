/** What is asked under an `Idempotency-Key` is done once, and failures that pass are not kept. */
import { describe, expect, it } from 'vitest'
import { Failure } from '../../src/errors.ts'
import { makeApi, START_MS } from './support.ts'

const MINUTE_MS = 60_000

describe('a request with an Idempotency-Key', () => {
  const body = { kind: 'check', reason: 'because' }

  it('is done once, and answered the same again, also by a service set up anew', async () => {
    const api = await makeApi()
    const token = await api.token('operator', 'Wang Fang')
    const first = await api.ask('/v1/jobs', { token, body, key: 'k1' })
    const second = await api.ask('/v1/jobs', { token, body, key: 'k1' })
    const anew = await makeApi({ repository: api.repository })
    const third = await anew.ask('/v1/jobs', { token, body, key: 'k1' })

    expect([first.status, second.status, third.status]).toEqual([202, 202, 202])
    expect([second.text, third.text]).toEqual([first.text, first.text])
    expect([api.service.started, anew.service.started]).toEqual([1, 0])
  })

  it('is refused with another body, and is another with another key or of another person', async () => {
    const api = await makeApi()
    const token = await api.token('operator', 'Wang Fang')
    await api.ask('/v1/jobs', { token, body, key: 'k1' })

    expect(await api.ask('/v1/jobs', { token, body: { ...body, reason: 'other' }, key: 'k1' })).toMatchObject({
      status: 409,
      json: { code: 'request-conflicts' },
    })
    await api.ask('/v1/jobs', { token, body, key: 'k2' })
    await api.ask('/v1/jobs', { token: await api.token('operator', 'Li Na'), body, key: 'k1' })
    expect(api.service.started).toBe(3)
  })

  it('that comes many times at once is done once', async () => {
    const api = await makeApi()
    const token = await api.token('operator')
    const answers = await Promise.all(Array.from({ length: 20 }, () => api.ask('/v1/jobs', { token, body, key: 'k' })))

    expect(api.service.started).toBe(1)
    expect(answers.filter(({ status }) => status !== 202 && status !== 409)).toEqual([])
  })

  it('is remembered over midnight, and gone two days later', async () => {
    const api = await makeApi()
    const ask = async () =>
      await api.ask('/v1/jobs', { token: await api.token('operator', 'Wang Fang'), body, key: 'k' })
    const names = async () => await api.repository.sealed.names('requests/')
    await ask()
    api.clock.nowMs += 24 * 60 * MINUTE_MS
    await ask()
    expect([api.service.started, (await names()).length]).toEqual([1, 2])

    api.clock.nowMs += 24 * 60 * MINUTE_MS
    await api.ask('/v1/me', { token: await api.token('viewer') })
    await expect.poll(names).toEqual([])
  })

  it('that failed by what passes is tried anew under the same key, and says when to come again', async () => {
    const api = await makeApi()
    const token = await api.token('operator')
    const { start } = api.service.jobs
    api.service.jobs.start = async () => {
      throw new Failure('lease-held', 'check runs already')
    }
    const early = await api.ask('/v1/jobs', { token, body, key: 'k' })
    api.service.jobs.start = start
    const later = await api.ask('/v1/jobs', { token, body, key: 'k' })

    expect([early.status, early.headers.get('retry-after'), later.status]).toEqual([409, '5', 202])
    expect(api.service.started).toBe(1)
  })

  it('that failed for good is answered the same again', async () => {
    const api = await makeApi()
    const token = await api.token('operator')
    const { start } = api.service.jobs
    api.service.jobs.start = async () => {
      throw new Failure('bad-usage', 'there are no jobs of that kind')
    }
    const first = await api.ask('/v1/jobs', { token, body, key: 'k' })
    api.service.jobs.start = start

    expect(await api.ask('/v1/jobs', { token, body, key: 'k' })).toMatchObject({ status: 400, text: first.text })
  })

  it('is done once by two hosts whose clocks stand on either side of midnight', async () => {
    const api = await makeApi()
    const token = await api.token('operator')
    const behind = await makeApi({ repository: api.repository, startMs: START_MS - 1 })
    await api.ask('/v1/jobs', { token, body, key: 'k' })

    expect((await behind.ask('/v1/jobs', { token, body, key: 'k' })).status).toBe(202)
    expect(behind.service.started).toBe(0)
  })

  it('of which no answer is known is not done again', async () => {
    const api = await makeApi()
    const token = await api.token('operator')
    const { start } = api.service.jobs
    api.service.jobs.start = async () => {
      throw new TypeError('the process died here')
    }
    await api.ask('/v1/jobs', { token, body, key: 'k' })
    api.service.jobs.start = start

    expect(await api.ask('/v1/jobs', { token, body, key: 'k' })).toMatchObject({ status: 409 })
    expect(api.service.started).toBe(0)
  })
})
