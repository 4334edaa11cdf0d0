/** What check and scrub say of change logs and leases: whole ones, and ones of which something was taken or changed (F1). */
import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { ChangeLogWriter } from '../../src/repository/change-log/writer.ts'
import { logKey, segmentKey } from '../../src/repository/layout.ts'
import { acquireLease } from '../../src/repository/lease.ts'
import type { Manifest } from '../../src/repository/manifest.ts'
import type { Repository } from '../../src/repository/repository.ts'
import { checkRepository } from '../../src/verify/check.ts'
import type { Verification } from '../../src/verify/finding.ts'
import { scrubRepository } from '../../src/verify/scrub.ts'
import { scrubPack } from '../../src/verify/scrub-pack.ts'
import { draftsInARow, LOG_WORLD, logStart, segmentDraft, writeLog } from '../support/change-log.ts'
import { FaultyStore } from '../support/faulty-store.ts'
import { forgeSnapshot, memoryRepository } from '../support/forge.ts'
import type { MemoryStore } from '../support/memory-store.ts'
import { overStore } from '../support/over-store.ts'

const SEGMENTS = 6

interface Bench {
  readonly repository: Repository
  readonly store: MemoryStore
  readonly logId: string
  readonly key: (number: number) => string
}

/** Six segments; the one snapshot stands behind the fourth of them. */
async function bench(): Promise<Bench> {
  const { repository, store } = await memoryRepository()
  const drafts = draftsInARow(SEGMENTS)
  const writer = await ChangeLogWriter.begin(repository, logStart(), LOG_WORLD)
  const { logId } = writer.start
  const key = (number: number) => segmentKey(logId, number)
  for (const draft of drafts.slice(0, 4)) await writer.append(draft)
  const { segment } = writer.head
  const head = { segment: 3, sha256: segment!.sha256, end: '0/410' }
  await snapshotWith(repository, { logId, scanFrom: '0/406', scanSegment: 3, head, transactions: null })
  for (const draft of drafts.slice(4)) await writer.append(draft)
  await acquireLease(repository, { name: 'capture-1', holder: 'a', leaseMs: 1000, nowMs: () => 0 })
  return { repository, store, logId, key }
}

/** A snapshot without tables that has its place in a log. */
async function snapshotWith(repository: Repository, log: NonNullable<Manifest['log']>): Promise<void> {
  const { snapshotId } = await forgeSnapshot(repository, [], { log })
  expect((await repository.readManifest(snapshotId)).manifest.log).toEqual(log)
}

async function check(repository: Repository): Promise<Verification> {
  return await checkRepository({ repository, signal: new AbortController().signal, nowMs: () => 0 })
}

async function scrub(repository: Repository): Promise<Verification> {
  return await scrubRepository({
    repository,
    signal: new AbortController().signal,
    nowMs: () => 0,
    random: randomBytes,
    lanes: 1,
    scrubPack: (from, task) => scrubPack(from.store, task),
  })
}

function damaged(store: MemoryStore, name: string): void {
  const bytes = Uint8Array.from(store.objects.get(name)!)
  bytes[50]! ^= 1
  store.objects.set(name, bytes)
}

describe('a change log', () => {
  test('that is whole is passed, and check opens what no snapshot has taken the place of', async () => {
    const { repository } = await bench()
    expect(await check(repository)).toMatchObject({
      status: 'passed',
      findings: [],
      looked: { logs: 1, segments: SEGMENTS, segmentsRead: 3 },
    })
    expect(await scrub(repository)).toMatchObject({
      status: 'passed',
      findings: [],
      looked: { segmentsRead: SEGMENTS },
    })
  })

  test.each([0, 2, 4])('of which segment %s was taken fails the check, with the span', async (number) => {
    const { repository, store, logId, key } = await bench()
    store.objects.delete(key(number))
    const { status, findings } = await check(repository)
    expect(status).toBe('failed')
    expect(findings).toMatchObject([{ kind: 'segment-missing', object: key(number) }])
    const from = (1000 + number * 10).toString(16).toUpperCase()
    const to = (1010 + number * 10).toString(16).toUpperCase()
    expect(findings[0]?.message).toMatch(
      new RegExp(
        `^segment ${number} of change log ${logId} \\(icu\\) is missing: changes from 0/${from} .* to 0/${to} `,
      ),
    )
  })

  test('of which several segments in a row were taken is one finding', async () => {
    const { repository, store, logId, key } = await bench()
    for (const number of [1, 2, 3]) store.objects.delete(key(number))
    const { findings } = await check(repository)
    expect(findings).toHaveLength(1)
    expect(findings[0]?.message).toMatch(
      new RegExp(
        `^the run of segments 1 to 3 of change log ${logId} \\(icu\\) is missing: changes from 0/3F2 .* to 0/410 `,
      ),
    )
  })

  test('of which several segments in a row are damaged is one finding', async () => {
    const { repository, store, key } = await bench()
    for (const number of [3, 4]) damaged(store, key(number))
    const { findings } = await check(repository)
    expect(findings).toMatchObject([{ kind: 'segment-damaged', object: key(3) }])
    expect(findings[0]?.message).toMatch(/^the run of segments 3 to 4 .* from 0\/406 .* to 0\/41A /)
  })

  test('of which the end was taken that a snapshot names fails the check', async () => {
    const { repository, store, key } = await bench()
    for (const number of [3, 4, 5]) store.objects.delete(key(number))
    const { findings } = await check(repository)
    expect(findings).toMatchObject([{ kind: 'segment-missing', object: key(3) }])
    expect(findings[0]?.snapshots).toHaveLength(1)
    expect(findings[0]?.message).toContain('to the end of the log')
  })

  test('of which all was taken fails the check', async () => {
    const { repository, store, logId } = await bench()
    for (const name of [...store.objects.keys()]) {
      if (name.startsWith('logs/') || name.startsWith('segments/')) store.objects.delete(name)
    }
    const { status, findings } = await check(repository)
    expect(status).toBe('failed')
    expect(findings).toMatchObject([{ kind: 'log-missing', object: logKey(logId) }])
  })

  test.each(['missing', 'damaged'])('of which the start is %s fails the check', async (how) => {
    const { repository, store, logId } = await bench()
    if (how === 'missing') store.objects.delete(logKey(logId))
    else damaged(store, logKey(logId))
    expect((await check(repository)).findings).toMatchObject([{ kind: `log-${how}`, object: logKey(logId) }])
  })

  test('that another one took the place of is missed when it is gone', async () => {
    const { repository } = await memoryRepository()
    const logId = '20250101T000000Z-00000000'
    await ChangeLogWriter.begin(
      repository,
      logStart({ previousLog: { logId, reason: 'the slot was lost', end: 5n } }),
      LOG_WORLD,
    )
    expect((await check(repository)).findings).toMatchObject([{ kind: 'log-missing', object: logKey(logId) }])
  })

  test('that was written again, whole, from before where a snapshot stands, is not the one that it names', async () => {
    const { repository, store, logId, key } = await bench()
    for (const number of [3, 4, 5]) store.objects.delete(key(number))
    const writer = await ChangeLogWriter.resume(repository, logId)
    await writer.append(segmentDraft(1040n))
    await writer.append(segmentDraft(1060n))
    const { findings } = await check(repository)
    expect(findings).toMatchObject([{ kind: 'segment-out-of-chain', object: key(3) }])
    expect(findings[0]?.snapshots).toHaveLength(1)
  })

  test('that ends before where the one that took its place says is missed its end', async () => {
    const { repository, store, logId, key } = await bench()
    const previousLog = { logId, reason: 'the slot was lost', end: 1060n }
    await ChangeLogWriter.begin(repository, logStart({ previousLog }), LOG_WORLD)
    expect((await check(repository)).findings).toEqual([])
    store.objects.delete(key(5))
    const { findings } = await check(repository)
    expect(findings).toMatchObject([{ kind: 'segment-missing', object: key(5) }])
    expect(findings[0]?.message).toContain('from 0/41A (2026-01-01T00:00:04.000Z) to 0/424')
  })

  test('with a damaged segment: found by check where it is still needed, by scrub anywhere', async () => {
    const { repository, store, key } = await bench()
    damaged(store, key(1))
    damaged(store, key(4))
    expect((await check(repository)).findings).toMatchObject([{ kind: 'segment-damaged', object: key(4) }])
    expect((await scrub(repository)).findings).toMatchObject([
      { kind: 'segment-damaged', object: key(1) },
      { kind: 'segment-damaged', object: key(4) },
    ])
  })

  test('whose segments a second writer went on with is out of chain from there on', async () => {
    const { repository, store, key } = await bench()
    const other = await writeLog(repository, [segmentDraft(1010n), segmentDraft(1020n)])
    const stolen = await repository.sealed.read(segmentKey(other.start.logId, 1), 11)
    store.objects.delete(key(4))
    await repository.sealed.write(key(4), 11, stolen)
    const kinds = (await check(repository)).findings.map(({ kind, object }) => [kind, object])
    expect(kinds).toEqual([
      ['segment-out-of-chain', key(4)],
      ['segment-out-of-chain', key(5)],
    ])
  })

  test('is not called incomplete because of a listing that came late (F17)', async () => {
    const { repository, store, key } = await bench()
    const late = new LateListing(store, key(3))
    expect((await check(overStore(repository, late))).findings).toEqual([])
  })

  test('is not passed when the store does not answer', async () => {
    const { repository, store } = await bench()
    const clean = new FaultyStore(store)
    await check(overStore(repository, clean))
    const call = clean.calls.findIndex(({ method, key }) => method === 'get' && key.startsWith('segments/')) + 1
    const faulty = new FaultyStore(store, [{ call, outcome: 'lost' }])
    expect(await check(overStore(repository, faulty))).toMatchObject({
      status: 'inconclusive',
      findings: [{ kind: 'not-looked' }],
    })
    faulty.assertAllFired()
  })

  test('with a name that is no segment’s, or one far beyond the end, is looked at in no time', async () => {
    const { repository, store, key } = await bench()
    store.objects.set(key(900_000_000_000), Buffer.from('planted'))
    store.objects.set(`${key(1)}0x`, Buffer.from('planted'))
    const { findings } = await check(repository)
    expect(findings.map(({ kind }) => kind).sort()).toEqual(['segment-damaged', 'segment-missing', 'unknown-object'])
  })
})

describe('a lease', () => {
  test('whose claim is damaged is a warning, and is taken over all the same once it was watched', async () => {
    const { repository, store } = await bench()
    damaged(store, 'leases/capture-1/0000000000')
    expect(await check(repository)).toMatchObject({ status: 'passed', findings: [{ kind: 'lease-damaged' }] })
    let nowMs = 5
    const sleep = async (ms: number) => {
      nowMs += ms
    }
    const request = { name: 'capture-1', holder: 'b', leaseMs: 1000, nowMs: () => nowMs, sleep }
    expect((await acquireLease(repository, request)).token).toBe(1)
    expect(nowMs).toBeGreaterThanOrEqual(1005)
  })
})

/** A listing from which one object is missing that is there. */
class LateListing extends FaultyStore {
  readonly #hidden: string

  constructor(inner: MemoryStore, hidden: string) {
    super(inner)
    this.#hidden = hidden
  }

  override async *list(prefix: string) {
    for await (const object of super.list(prefix)) if (object.key !== this.#hidden) yield object
  }
}
