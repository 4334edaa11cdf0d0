/** A record of the service that is damaged in the store is said to be so, and stands in the way of nothing else (F29, F31). */
import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { Failure } from '../../src/errors.ts'
import { ALARM_PREFIX, JOB_END_PREFIX, JOB_PREFIX, numbered } from '../../src/repository/layout.ts'
import { AlarmStore } from '../../src/service/alarm/alarm-store.ts'
import { AlarmBook } from '../../src/service/alarm/book.ts'
import type { Condition } from '../../src/service/alarm/condition.ts'
import { type Message, Notifier } from '../../src/service/alarm/notifier.ts'
import { Care } from '../../src/service/care.ts'
import { JobStore, type NewJob } from '../../src/service/jobs/job-store.ts'
import type { ServiceWorld } from '../../src/service/world.ts'
import { MemoryStore } from '../support/memory-store.ts'
import { makeSimRepository } from '../support/sim-repository.ts'

const START = Date.parse('2026-03-01T00:00:00Z')
const TASK = 'check-0123456789abcdef'
const TURN_MS = 30_000

const full: Condition = {
  key: 'low',
  kind: 'space',
  severity: 'critical',
  subject: 'the store',
  text: { en: '5 bytes are free', zh: '剩余 5 字节' },
}

async function makeRepository() {
  const store = new MemoryStore()
  const repository = (await makeSimRepository(store)).over(store)
  const damage = (name: string) => {
    const bytes = store.objects.get(name)!
    bytes[bytes.length - 1]! ^= 1
  }
  return { repository, damage }
}

/** A service that has just begun to lead looks three times. */
async function lookThrice(breakIt: (parts: { store: AlarmStore; damage: (name: string) => void }) => void) {
  const { repository, damage } = await makeRepository()
  const clock = { nowMs: START }
  const stop = new AbortController()
  let turns = 0
  const world: ServiceWorld = {
    nowMs: () => clock.nowMs,
    sleep: async (ms, signal) => {
      if (ms !== TURN_MS) return await new Promise((_, reject) => signal?.addEventListener('abort', reject))
      turns += 1
      clock.nowMs += ms
      if (turns === 3) stop.abort()
      await setImmediate()
    },
    random: (bytes) => new Uint8Array(bytes),
    host: 'chartkeep@icu-1',
    temporaryDirectory: 'none',
  }
  const store = new AlarmStore(repository)
  const bookOf = () => new AlarmBook({ store, audit: repository.audit, world, log: () => {} })
  const before = bookOf()
  before.see('tasks', [{ ...full, key: 'old' }])
  await before.sync()
  breakIt({ store, damage })
  const told: Message[] = []
  const send = async (message: Message) => void told.push(message)
  const channels = [{ name: 'people', send }]
  const care = new Care({
    store: repository.store,
    book: bookOf(),
    notifier: new Notifier({ channels, repeatMs: 3_600_000, world, log: () => {} }),
    localWatches: [],
    leaderWatches: [{ name: 'space', look: async () => [full] }],
    watchEveryMs: TURN_MS,
    turnMs: TURN_MS,
    isLeader: () => true,
    heartbeat: null,
    world,
    log: () => {},
  })
  await care.run(stop.signal)
  return told.flatMap(({ open }) => open.map(({ kind, subject }) => `${kind} ${subject}`))
}

describe('an alarm whose record', () => {
  it('is damaged is itself an alarm, and nobody is kept from hearing of the others', async () => {
    const told = await lookThrice(({ damage }) => damage(numbered(`${numbered(ALARM_PREFIX, 0)}/`, 0)))

    expect(told.sort()).toEqual(['finding alarm 0', 'space the store'])
  })

  it('cannot be read for another reason keeps nobody from hearing of what is wrong now', async () => {
    const told = await lookThrice(({ store }) => {
      store.readAll = async () => {
        throw new Failure('store-refused', 'the store lists no alarms')
      }
    })

    expect(told.sort()).toEqual(['not-watched alarms', 'space the store'])
  })
})

describe('a list of alarms', () => {
  it('reads again what has changed, and nothing else', async () => {
    const { repository } = await makeRepository()
    const store = new AlarmStore(repository)
    const at = new Date(START).toISOString()
    const raised = { type: 'raised', at, ...full } as const
    for (let count = 0; count < 3; count += 1) await store.raise(raised)
    await store.readAll()
    const { get } = repository.store
    let reads = 0
    repository.store.get = async (key) => {
      reads += 1
      return await get.call(repository.store, key)
    }
    await store.append('1', { type: 'ended', at })
    const { alarms } = await store.readAll()

    expect([reads, alarms.map(({ endedAt }) => endedAt)]).toEqual([2, [null, at, null]])
  })
})

describe('a job whose record', () => {
  const order: NewJob = {
    task: TASK,
    kind: 'check',
    source: null,
    cause: 'schedule',
    requestedBy: 'service',
    reason: '',
    host: 'chartkeep@icu-1',
    token: 1,
    attempt: 1,
    dueAt: null,
    startedAt: new Date(START).toISOString(),
  }
  const end = { state: 'done', endedAt: new Date(START).toISOString(), failure: null, result: null } as const

  async function twoJobs() {
    const { repository, damage } = await makeRepository()
    const store = new JobStore(repository)
    for (const job of [await store.begin(order), await store.begin(order)]) await store.end(job.id, end)
    return { store: new JobStore(repository), damage }
  }

  it.each([JOB_PREFIX, JOB_END_PREFIX])('under %s is damaged has failed, and the others stand', async (prefix) => {
    const { store, damage } = await twoJobs()
    damage(numbered(`${prefix}${TASK}/`, 1))

    expect((await store.newest(TASK, 8)).map(({ id, state, failure }) => [id, state, failure?.code])).toEqual([
      [`${TASK}-1`, 'failed', 'repository-damaged'],
      [`${TASK}-0`, 'done', undefined],
    ])
    expect((await store.begin(order)).id).toBe(`${TASK}-2`)
  })

  it('of when its task was first seen is damaged is overdue, and not for ever in time', async () => {
    const { store, damage } = await twoJobs()
    await store.since(TASK, START)
    damage(`${JOB_PREFIX}${TASK}/since`)

    expect(await store.since(TASK, START)).toBe(0)
  })
})
