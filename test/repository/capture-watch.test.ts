/** Whether a capture follows its slot, on a clock of the test's own: a pause of its network is not its end. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { isFollowed, isWrittenElsewhere } from '../../src/repository/capture-watch.ts'
import { acquireLease, CAPTURE_LEASE, type Lease, leaseName } from '../../src/repository/lease.ts'
import { makeRepository, never, type TestRepository } from '../support/repository.ts'

const LEASE_MS = 15_000
const STARTED_MS = Date.UTC(2026, 0, 2)

let made: TestRepository
let sources = 0

beforeAll(async () => {
  made = await makeRepository()
})
afterAll(() => made?.[Symbol.asyncDispose]())

interface Scene {
  /** When the capture is connected again; null: never. */
  readonly activeAtMs: number | null
  /** Its lease is renewed every four seconds until then; null: it was given back before. */
  readonly renewedUntilMs: number | null
  readonly slotGone?: boolean
}

/** A capture that has just lost its connection. @returns what `ask` says, and how long it took, in ms of the test's clock */
async function seen(scene: Scene, ask = isFollowed): Promise<[boolean, number]> {
  const { repository } = made
  const sourceName = `icu${sources++}`
  let ms = 0
  const nowMs = () => STARTED_MS + ms
  const name = leaseName(repository.id, CAPTURE_LEASE, sourceName)
  const lease: Lease = await acquireLease(repository, { name, holder: 'a capture', leaseMs: LEASE_MS, nowMs })
  if (scene.renewedUntilMs === null) await lease.release()
  let renewedMs = 0
  const sleep = async (pauseMs: number) => {
    ms += pauseMs
    if (ms > 200_000) throw new Error('it waits for ever')
    if (ms - renewedMs < 4_000 || ms > (scene.renewedUntilMs ?? 0)) return
    renewedMs = ms
    await lease.renew()
  }
  const slotState = async () =>
    scene.slotGone ? null : { active: scene.activeAtMs !== null && ms >= scene.activeAtMs }
  const answer = await ask({ repository, sourceName, slotState, nowMs, sleep, signal: never() })
  return [answer, ms]
}

test('one that is connected is followed at once; of a slot that is gone nobody needs to wait', async () => {
  expect(await seen({ activeAtMs: 0, renewedUntilMs: null })).toEqual([true, 0])
  expect(await seen({ activeAtMs: 0, renewedUntilMs: null, slotGone: true })).toEqual([false, 0])
})

test('one whose network is away for half a minute is waited for as long as it renews its lease', async () => {
  expect(await seen({ activeAtMs: 30_000, renewedUntilMs: 60_000 })).toEqual([true, 30_000])
})

test('for a minute, and no longer', async () => {
  const [answer, tookMs] = await seen({ activeAtMs: null, renewedUntilMs: 100_000 })

  expect(answer).toBe(false)
  expect(tookMs).toBeGreaterThanOrEqual(60_000)
  expect(tookMs).toBeLessThan(61_000)
})

test('one that died stops renewing: that is seen when its lease would have been renewed', async () => {
  const [answer, tookMs] = await seen({ activeAtMs: null, renewedUntilMs: 5_000 })

  expect(answer).toBe(false)
  expect(tookMs).toBeGreaterThan(LEASE_MS)
  expect(tookMs).toBeLessThan(25_000)
})

test('one that ended gave its lease back: two seconds tell', async () => {
  const [answer, tookMs] = await seen({ activeAtMs: null, renewedUntilMs: null })

  expect(answer).toBe(false)
  expect(tookMs).toBeLessThan(2_500)
})

test('a lease that is renewed while nobody follows the slot here is of a capture elsewhere (P5)', async () => {
  const ask = isWrittenElsewhere
  expect((await seen({ activeAtMs: null, renewedUntilMs: 60_000 }, ask))[0]).toBe(true)
  expect((await seen({ activeAtMs: 0, renewedUntilMs: 60_000 }, ask))[0]).toBe(false)
  expect((await seen({ activeAtMs: null, renewedUntilMs: 0 }, ask))[0]).toBe(false)
  expect((await seen({ activeAtMs: null, renewedUntilMs: null }, ask))[0]).toBe(false)
})

test('a wait ends with the signal', async () => {
  const signal = AbortSignal.abort(new Error('stopped'))
  const { repository } = made
  const slotState = async () => ({ active: false })
  const waiting = { repository, sourceName: 'icu', slotState, nowMs: () => STARTED_MS, sleep: async () => {}, signal }

  await expect(isFollowed(waiting)).rejects.toThrow('stopped')
  await expect(isWrittenElsewhere(waiting)).rejects.toThrow('stopped')
})
