/**
 * From a moment to a snapshot and a stretch of the log (P17), and what is said where there is none (F9). Positions are
 * small numbers, times are seconds of one day; `|` in the pictures is a seal, `k` a snapshot.
 */
import { beforeEach, describe, expect, test } from 'vitest'
import { Failure } from '../../../src/errors.ts'
import { manifestKey } from '../../../src/repository/layout.ts'
import { formatLsn } from '../../../src/repository/lsn.ts'
import type { Repository } from '../../../src/repository/repository.ts'
import { resolveTarget, type StateTarget } from '../../../src/repository/state/target.ts'
import { atSecond, LogByHand, secondUs, writeSnapshot } from '../../support/logged-history.ts'
import { MemoryStore } from '../../support/memory-store.ts'
import { makeSimRepository } from '../../support/sim-repository.ts'

const K1 = '20260301T000001Z-00000001'
const K2 = '20260301T000002Z-00000002'
const K3 = '20260301T000003Z-00000003'

let store: MemoryStore
let repository: Repository

beforeEach(async () => {
  store = new MemoryStore()
  repository = (await makeSimRepository(store)).over(store)
})

async function resolve(at: string, wanted?: readonly string[]): Promise<StateTarget> {
  const only = wanted === undefined ? {} : { wanted: new Set(wanted) }
  return await resolveTarget({ repository, sourceName: 'icu', at, ...only })
}

async function refusal(at: string): Promise<Failure> {
  const outcome = await resolve(at).catch((error: unknown) => error)
  if (outcome instanceof Failure) return outcome
  throw new Error(`expected a refusal at ${at}`)
}

function summary({ base, along, transaction }: StateTarget) {
  return {
    base: base.snapshotId,
    bound: along && Number(along.bound),
    last: transaction && Number(transaction.commitLsn),
  }
}

/**
 *     log 100                 k1 at 150, 10 s      k2 at 450, 40 s
 *     | 200@20 300@30 |       400@35 |             500@50 600@45 700@60 |            idle until 90 s |
 */
async function twoSnapshots(): Promise<LogByHand> {
  const log = await LogByHand.begin(repository, 100, { 'public.t': 'a' })
  await writeSnapshot(repository, { id: K1, lsn: 150, second: 10, log: log.place() })
  await log.seal({
    end: 320,
    commits: [
      [200, 20],
      [300, 30],
    ],
  })
  await log.seal({ end: 440, commits: [[400, 35]] })
  await writeSnapshot(repository, { id: K2, lsn: 430, second: 40, log: log.place() })
  await log.seal({
    end: 720,
    commits: [
      [500, 50],
      [600, 45],
      [700, 60],
    ],
  })
  await log.seal({ end: 800, second: 90 })
  return log
}

describe('a time', () => {
  test('takes the newest snapshot before it, and the log up to the first commit that is stamped later', async () => {
    await twoSnapshots()

    expect(summary(await resolve(atSecond(25)))).toEqual({ base: K1, bound: 300, last: 200 })
    expect(summary(await resolve(atSecond(35)))).toEqual({ base: K1, bound: 500, last: 400 })
    expect(summary(await resolve(atSecond(55)))).toEqual({ base: K2, bound: 700, last: 600 })
  })

  test('with one microsecond less than a commit has leaves it out', async () => {
    await twoSnapshots()

    expect(summary(await resolve('2026-03-01T00:00:19.999999Z'))).toEqual({ base: K1, bound: 200, last: null })
    expect(summary(await resolve('2026-03-01T00:00:20.000000Z'))).toMatchObject({ bound: 300, last: 200 })
  })

  test('ends in front of a commit that is stamped later, though one behind it is stamped earlier (P17)', async () => {
    await twoSnapshots()

    const target = await resolve(atSecond(47))

    expect(summary(target)).toEqual({ base: K2, bound: 500, last: null })
    expect(target.clock).toMatchObject({ stampedEarlier: 1, backwardUs: 5_000_000n })
    expect(target.clock?.latestStampedEarlier?.commitLsn).toBe(600n)
    expect(target.secondsBefore).toBe(7)
  })

  test('says how far before it the last transaction was committed', async () => {
    await twoSnapshots()

    expect((await resolve(atSecond(33))).secondsBefore).toBe(3)
  })

  test('behind the last commit is answered as long as the log is known to be complete, and no longer', async () => {
    await twoSnapshots()

    expect(summary(await resolve(atSecond(80)))).toEqual({ base: K2, bound: 800, last: 700 })
    const beyond = await refusal(atSecond(95))
    expect(beyond.code).toBe('change-log-gap')
    expect(beyond.message).toContain(atSecond(89))
    expect(beyond.hints.join(' ')).toContain(`--at ${formatLsn(800n)}`)
  })

  test('is not answered from a segment that was sealed before the log had got to where the database was', async () => {
    const log = await LogByHand.begin(repository, 100, {})
    await writeSnapshot(repository, { id: K1, lsn: 150, second: 10, log: log.place(), tables: {} })
    await log.seal({ end: 300, commits: [[200, 20]], second: 30 })
    await log.seal({ end: 400, second: 60, seen: 5000 })

    expect(summary(await resolve(atSecond(29)))).toMatchObject({ base: K1, bound: 400 })
    expect((await refusal(atSecond(31))).code).toBe('change-log-gap')
  })

  test('is not answered by the clock of a machine that runs an hour ahead (F28)', async () => {
    const log = await LogByHand.begin(repository, 100, {})
    await writeSnapshot(repository, { id: K1, lsn: 150, second: 10, log: log.place(), tables: {} })
    await log.seal({ end: 300, commits: [[200, 20]], second: 3620 })

    expect(summary(await resolve(atSecond(200)))).toMatchObject({ base: K1, bound: 300 })
    expect((await refusal(atSecond(1800))).code).toBe('change-log-gap')
  })

  test('is answered by the clock of the database where a segment says it, and not by that of the machine (F28)', async () => {
    const log = await LogByHand.begin(repository, 100, {})
    await writeSnapshot(repository, { id: K1, lsn: 150, second: 10, log: log.place(), tables: {} })
    await log.seal({ end: 300, commits: [[200, 20]], second: 200, clock: 60 })

    expect(summary(await resolve(atSecond(58)))).toMatchObject({ base: K1, bound: 300 })
    expect((await refusal(atSecond(61))).code).toBe('change-log-gap')
  })

  test('is not answered from a snapshot that has what is stamped later: the clock was set back', async () => {
    const log = await LogByHand.begin(repository, 100, {})
    await writeSnapshot(repository, { id: K1, lsn: 150, second: 10, log: log.place(), tables: {} })
    await log.seal({
      end: 400,
      commits: [
        [200, 20],
        [300, 3600],
      ],
    })
    await writeSnapshot(repository, { id: K2, lsn: 410, second: 40, log: log.place(), tables: {} })
    await log.seal({ end: 600, commits: [[500, 50]] })

    const target = await resolve(atSecond(45))

    expect(summary(target)).toEqual({ base: K1, bound: 300, last: 200 })
    expect(target.clock?.backwardUs).toBe(3_550_000_000n)
  })

  test('before the first snapshot is refused', async () => {
    await twoSnapshots()

    expect((await refusal(atSecond(5))).code).toBe('snapshot-not-found')
  })

  test('before anything was captured is answered with the newest snapshot before it', async () => {
    await writeSnapshot(repository, { id: K1, lsn: 50, second: 2 })
    const log = await LogByHand.begin(repository, 100, {})
    await writeSnapshot(repository, { id: K2, lsn: 150, second: 10, log: log.place() })

    const target = await resolve(atSecond(8))

    expect(summary(target)).toEqual({ base: K1, bound: null, last: null })
    expect(target.secondsBefore).toBe(6)
  })

  test('behind a snapshot that its own log has not reached yet is refused', async () => {
    const log = await LogByHand.begin(repository, 100, {})
    await writeSnapshot(repository, { id: K1, lsn: 150, second: 10, log: log.place() })

    const refused = await refusal(atSecond(12))

    expect(refused.code).toBe('change-log-gap')
  })
})

describe('a gap between two logs (F9, F10)', () => {
  beforeEach(async () => {
    await twoSnapshots()
    const second = await LogByHand.begin(repository, 2000, { 'public.t': 'a' })
    await writeSnapshot(repository, { id: K3, lsn: 2100, second: 200, log: second.place() })
    await second.seal({ end: 2300, commits: [[2200, 220]] })
  })

  test('is refused from when to when, with the moments next to it', async () => {
    const refused = await refusal(atSecond(150))

    expect(refused.code).toBe('change-log-gap')
    expect(refused.message).toContain(`${atSecond(89)} (${formatLsn(800n)}) to ${atSecond(200)} (${formatLsn(2100n)})`)
    expect(refused.hints[0]).toContain(`--at ${formatLsn(800n)}`)
    expect(refused.hints[0]).toContain(`--at ${K3}`)
    expect((await refusal(formatLsn(1500n))).message).toContain('lies in between')
  })

  test('leaves what lies on both sides of it', async () => {
    expect(summary(await resolve(atSecond(60)))).toMatchObject({ base: K2, bound: 800 })
    expect(summary(await resolve(atSecond(220)))).toMatchObject({ base: K3, bound: 2300, last: 2200 })
  })
})

describe('a position', () => {
  test.each([
    [199, K1, 199, null],
    [209, K1, 200, null],
    [210, K1, 210, 200],
    [440, K2, 440, null],
    [700, K2, 700, 600],
    [800, K2, 800, 700],
  ])('of %i is every transaction that ends at or before it', async (lsn, base, bound, last) => {
    await twoSnapshots()

    expect(summary(await resolve(formatLsn(BigInt(lsn))))).toEqual({ base, bound, last })
  })

  test('before the first snapshot, or behind the end, is refused', async () => {
    await twoSnapshots()

    expect((await refusal(formatLsn(140n))).code).toBe('snapshot-not-found')
    expect((await refusal(formatLsn(801n))).code).toBe('change-log-gap')
  })
})

describe('now, latest and a snapshot', () => {
  test('are the last change kept, the newest snapshot, and that snapshot', async () => {
    await twoSnapshots()

    expect(summary(await resolve('now'))).toEqual({ base: K2, bound: 800, last: 700 })
    expect(summary(await resolve('latest'))).toEqual({ base: K2, bound: null, last: null })
    expect(summary(await resolve(K1))).toEqual({ base: K1, bound: null, last: null })
  })

  test('now is the newest snapshot where that is newer than the last change captured', async () => {
    await twoSnapshots()
    await writeSnapshot(repository, { id: K3, lsn: 900, second: 100 })

    expect(summary(await resolve('now'))).toEqual({ base: K3, bound: null, last: null })
  })

  test('now goes on from an older snapshot where the newest one carries no log and is older than the last change', async () => {
    await twoSnapshots()
    await writeSnapshot(repository, { id: K3, lsn: 730, second: 70 })

    expect(summary(await resolve('now'))).toEqual({ base: K2, bound: 800, last: 700 })
  })

  test('now is refused where nothing was captured', async () => {
    await writeSnapshot(repository, { id: K1, lsn: 50, second: 2 })

    expect((await refusal('now')).code).toBe('change-log-gap')
  })
})

describe('a snapshot that cannot be read', () => {
  test('does not stand in the way where an older one and the log lead to the same state, and is named', async () => {
    await twoSnapshots()
    store.objects.set(manifestKey(K3), Buffer.from('planted'))
    store.objects.set(manifestKey(K2), Buffer.from('damaged'))

    const target = await resolve(atSecond(55))

    expect(summary(target)).toEqual({ base: K1, bound: 700, last: 600 })
    expect(target.passedOver?.code).toBe('repository-damaged')
    expect((await refusal('latest')).hints[0]).toContain(`--at ${K1}`)
  })
})

describe('a table that a change of the catalog closes (P2, P7)', () => {
  const tables = { 'public.t': 'transaction', 'public.u': 'transaction', 'public.coarse': 'snapshot' } as const

  beforeEach(async () => {
    const log = await LogByHand.begin(repository, 100, { 'public.t': 'a', 'public.u': 'a' })
    await writeSnapshot(repository, { id: K1, lsn: 150, second: 10, log: log.place(), tables })
    await log.seal({ end: 220, commits: [[200, 20]] })
    await log.seal({
      end: 320,
      commits: [[300, 30]],
      definitions: { 'public.t': 'altered', 'public.u': 'a', 'public.coarse': 'a', 'public.new': 'a' },
    })
    await log.seal({ end: 420, commits: [[400, 40]] })
    await writeSnapshot(repository, { id: K2, lsn: 420, second: 42, log: log.place(), tables })
    await log.seal({ end: 520, commits: [[500, 50]] })
  })

  test('is refused from the last look before it until a snapshot read it again, by name', async () => {
    const refused = await refusal(atSecond(35))

    expect(refused.code).toBe('change-log-gap')
    expect(refused.message).toContain('public.t')
    expect(refused.message).not.toContain('public.u')
    expect(refused.message).toContain(`from ${formatLsn(220n)} to ${atSecond(42)}`)
    expect(refused.hints[0]).toContain(`--at ${formatLsn(220n)}`)
    expect(refused.hints[0]).toContain(`--at ${K2}`)
  })

  test('is there before and behind that', async () => {
    expect(summary(await resolve(formatLsn(220n)))).toMatchObject({ base: K1, bound: 220 })
    expect(summary(await resolve(atSecond(50)))).toMatchObject({ base: K2 })
  })

  test('is no obstacle to who does not want it; others of the base and new ones are told apart', async () => {
    const target = await resolve(atSecond(35), ['public.u'])

    expect(target.closed.map(({ table }) => table)).toEqual(['public.t'])
    expect(target.coarse).toEqual([{ table: 'public.coarse', reason: 'its changes are not captured' }])
    expect(target.added).toEqual(['public.new'])
  })
})

test('seconds of the day are what they say', () => {
  expect(secondUs(1.5)).toBe(BigInt(Date.UTC(2026, 2, 1, 0, 0, 1, 500)) * 1000n)
})
