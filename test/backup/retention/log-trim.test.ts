/** Change logs that lose their beginning: what goes, what stays, and that check tells it from damage (F1, F16). */
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { planOfPrune, prune } from '../../../src/backup/retention/prune.ts'
import { openLog } from '../../../src/repository/change-log/reader.ts'
import { ChangeLogWriter } from '../../../src/repository/change-log/writer.ts'
import { segmentKey, segmentOf, trimKey } from '../../../src/repository/layout.ts'
import { formatLsn } from '../../../src/repository/lsn.ts'
import type { Manifest } from '../../../src/repository/manifest.ts'
import type { Repository } from '../../../src/repository/repository.ts'
import { initRepository } from '../../../src/repository/repository-lifecycle.ts'
import { resolveTarget } from '../../../src/repository/state/target.ts'
import type { Store } from '../../../src/repository/store/contract.ts'
import { checkRepository } from '../../../src/verify/check.ts'
import { LOG_TABLES, LOG_WORLD, logStart, segmentDraft, transactionAt } from '../../support/change-log.ts'
import { FaultyStore } from '../../support/faulty-store.ts'
import { forgeSnapshot, memoryRepository } from '../../support/forge.ts'
import { MemoryStore } from '../../support/memory-store.ts'
import { overStore } from '../../support/over-store.ts'
import { runRescue } from '../../support/run-rescue.ts'
import { copyOf } from '../../support/sim-repository.ts'
import { HOUR_MS, rulesOf } from './retention-sim.ts'

const SEGMENTS = 20
const DAY = Date.UTC(2026, 0, 1)
/** Segment n is of hour n; these saw a snapshot. */
const SNAPSHOTS = [3, 9, 15, 19]
/** From 13:00 on, which is told from the snapshot of 09:00. */
const RULES = rulesOf({ last: 4, windowMs: 6 * HOUR_MS })
const FIRST = 9

interface Bench {
  readonly repository: Repository
  readonly store: MemoryStore
  readonly logId: string
  readonly ids: readonly string[]
}

let template: Manifest
let bench: Bench

function atHour(hour: number): string {
  return `${new Date(DAY + hour * HOUR_MS).toISOString().slice(0, 23)}000Z`
}

const keyFile = randomBytes(64)

beforeEach(async () => {
  const forged = await memoryRepository()
  const { snapshotId } = await forgeSnapshot(forged.repository, [])
  template = (await forged.repository.readManifest(snapshotId)).manifest
  bench = await makeBench()
})

/** A table is defined anew in hour 5. */
async function makeBench(): Promise<Bench> {
  const store = new MemoryStore()
  const world = { nowMs: () => DAY, random: randomBytes }
  const { repository } = await initRepository(store, { url: 'memory:' }, [{ kind: 'key-file', bytes: keyFile }], world)
  const writer = await ChangeLogWriter.begin(repository, logStart(), LOG_WORLD)
  const ids: string[] = []
  for (let hour = 0; hour < SEGMENTS; hour += 1) {
    await appendHour(writer, hour)
    if (SNAPSHOTS.includes(hour)) ids.push(await snapshotAt(repository, writer, hour))
  }
  return { repository, store, logId: writer.start.logId, ids }
}

async function appendHour(writer: ChangeLogWriter, hour: number): Promise<void> {
  const commitLsn = 1000n + BigInt(hour) * 10n
  const commitTimeUs = BigInt(DAY + hour * HOUR_MS) * 1000n
  const tables = new Map(LOG_TABLES.map(({ name }, index) => [name, hour >= 5 && index === 1 ? 'b' : 'a']))
  await writer.append(
    segmentDraft(commitLsn + 10n, {
      sealedAt: new Date(DAY + hour * HOUR_MS).toISOString(),
      transactions: [transactionAt(commitLsn, 1, { commitTimeUs })],
      fingerprint: { digest: `look ${hour >= 5}`, lsn: commitLsn + 10n, tables },
    }),
  )
}

/** Without rows: behind everything that is in the log. */
async function snapshotAt(repository: Repository, writer: ChangeLogWriter, hour: number): Promise<string> {
  const time = new Date(DAY + hour * HOUR_MS).toISOString()
  const snapshotId = `${time.slice(0, 19).replace(/[-:]/g, '')}Z-0000000${hour % 10}`
  const { segment, end } = writer.head
  const head = { segment: segment!.header.number, sha256: segment!.sha256, end: formatLsn(end) }
  const manifest: Manifest = {
    ...template,
    snapshotId,
    repositoryId: repository.id,
    sourceName: 'icu',
    source: logStart().source,
    position: { lsn: formatLsn(end), visible: '4000000000:4000000000:', sourceTime: atHour(hour) },
    indexSha256: await repository.writeIndex({ format: 1, snapshotId, packs: [] }),
    log: {
      logId: writer.start.logId,
      scanFrom: formatLsn(end),
      scanSegment: head.segment + 1,
      head,
      transactions: null,
    },
    run: { ...template.run, startedAt: time, endedAt: time },
  }
  const sha256 = await repository.writeManifest(manifest)
  await repository.ledger.append({ snapshot: snapshotId, manifest: sha256, time: `${time.slice(0, 19)}Z` })
  return snapshotId
}

function request(repository: Repository, hour: number, rules = RULES) {
  return {
    repository,
    actor: 'test',
    nowMs: () => DAY + hour * HOUR_MS,
    random: randomBytes,
    signal: new AbortController().signal,
    sleep: async () => {},
    rules: new Map([['icu', rules]]),
    graceMs: 24 * HOUR_MS,
  }
}

/** Marked in hour 20, gone in hour 45. */
async function trimmed({ repository }: Bench): Promise<void> {
  await prune(request(repository, 20))
  await prune(request(repository, 45))
}

function segmentsOf({ store }: Bench): number[] {
  return [...store.objects.keys()].flatMap((key) => segmentOf(key)?.number ?? []).sort((a, b) => a - b)
}

async function findings({ repository }: Bench) {
  const request = { repository, signal: new AbortController().signal, nowMs: () => DAY }
  return (await checkRepository(request)).findings.map(({ kind, object }) => [kind, object])
}

describe('the beginning of a change log', () => {
  test('goes when it lies before the recovery window, and check says that the rest is whole', async () => {
    const plan = await planOfPrune(request(bench.repository, 20))
    expect(plan.marks.map(({ object }) => segmentOf(object)?.number)).toEqual([0, 1, 2, 3, 4, 6, 7, 8])
    expect(plan.stays.find(({ object }) => object === segmentKey(bench.logId, 5))?.why).toBe(
      'the newest segment refers to it',
    )
    expect(plan.stays.find(({ object }) => object === segmentKey(bench.logId, 12))?.why).toBe(
      `moments from snapshot ${bench.ids[1]} on`,
    )

    await prune(request(bench.repository, 20))
    expect(segmentsOf(bench)).toHaveLength(SEGMENTS)
    expect((await prune(request(bench.repository, 45))).trims).toEqual([{ logId: bench.logId, first: FIRST }])
    expect(segmentsOf(bench)).toEqual([5, ...Array.from({ length: SEGMENTS - FIRST }, (_, index) => FIRST + index)])
    expect(await findings(bench)).toEqual([])
    expect((await prune(request(bench.repository, 46))).removes).toEqual([])
  })

  test('stays where the source has no window: its oldest snapshot says how far the log is needed', async () => {
    const plan = await planOfPrune(request(bench.repository, 20, rulesOf({ last: 4 })))
    expect(plan.marks.map(({ object }) => segmentOf(object)?.number)).toEqual([0, 1, 2])
  })

  test('is missed by nobody who reads: moments within the window, positions, what was closed, and who writes on', async () => {
    await trimmed(bench)
    const { repository, logId } = bench
    const log = await openLog(repository, logId)
    const read: bigint[] = []
    for await (const { commitLsn } of log.transactions()) read.push(commitLsn)
    expect(read).toEqual(Array.from({ length: SEGMENTS - FIRST }, (_, index) => 1090n + BigInt(index) * 10n))
    expect(await log.locate(0n)).toBe(FIRST)
    expect(await log.locateTime(0n)).toBe(FIRST)
    expect(await log.closedTables()).toEqual([])
    expect((await log.fingerprint()).get(LOG_TABLES[1]!.name)).toBe('b')
    const target = await resolveTarget({ repository, sourceName: 'icu', at: atHour(13.5) })
    expect(target).toMatchObject({ base: { snapshotId: bench.ids[1] }, along: { fromSegment: 10 } })

    const writer = await ChangeLogWriter.resume(repository, logId)
    await appendHour(writer, SEGMENTS)
    expect(await findings(bench)).toEqual([])
  })

  test('cannot be had any more behind an older snapshot, and the snapshot itself can', async () => {
    await trimmed(bench)
    const { repository, ids } = bench
    await expect(resolveTarget({ repository, sourceName: 'icu', at: atHour(5) })).rejects.toMatchObject({
      code: 'change-log-gap',
      message: expect.stringContaining('are not kept any more'),
    })
    expect(await resolveTarget({ repository, sourceName: 'icu', at: ids[0]! })).toMatchObject({ along: null })
    const log = await openLog(repository, bench.logId)
    await expect(Array.fromAsync(log.transactions({ fromSegment: 3 }))).rejects.toMatchObject({
      code: 'change-log-gap',
    })
  })

  test('that is missing without a trim that says so is damage, and so is a segment behind the trim (F1)', async () => {
    await trimmed(bench)
    const { store, logId } = bench
    const trim = store.objects.get(trimKey(logId, FIRST))!
    store.objects.delete(trimKey(logId, FIRST))
    expect(await findings(bench)).toEqual([
      ['segment-missing', segmentKey(logId, 0)],
      ['segment-missing', segmentKey(logId, 6)],
    ])
    store.objects.set(trimKey(logId, FIRST), trim)
    store.objects.delete(segmentKey(logId, FIRST))
    expect(await findings(bench)).toEqual([['segment-missing', segmentKey(logId, FIRST)]])
  })

  test('is not passed over when the first segment is not the one that the trim says goes on (F4)', async () => {
    await trimmed(bench)
    const other = await makeBench()
    await trimmed(other)
    const { store, repository, logId } = bench
    // Another log's trim, under our name.
    const plain = await other.repository.sealed.read(trimKey(other.logId, FIRST), 19)
    const text = Buffer.from(plain).toString().replace(other.logId, logId)
    store.objects.delete(trimKey(logId, FIRST))
    await repository.sealed.write(trimKey(logId, FIRST), 19, Buffer.from(text))
    expect((await findings(bench))[0]).toEqual(['segment-out-of-chain', segmentKey(logId, FIRST)])
    await expect((await openLog(repository, logId)).segment(FIRST)).rejects.toMatchObject({ code: 'change-log-gap' })
  })

  test('goes, whichever call of the store is the last one, so that the log is whole, and the next run goes on', async () => {
    await prune(request(bench.repository, 20))
    const through = async (store: Store) => await prune(request(overStore(bench.repository, store), 45))
    const counting = new FaultyStore(copyOf(bench.store))
    await through(counting)
    const writes = counting.calls.flatMap(({ method }, index) =>
      method === 'put' || method === 'delete' ? [index + 1] : [],
    )
    for (const call of writes.slice(1)) {
      const store = copyOf(bench.store)
      await through(new FaultyStore(store, [{ call, outcome: 'applied', onward: true }])).catch(() => {})
      const left = { ...bench, store, repository: overStore(bench.repository, store) }
      expect(await findings(left)).toEqual([])
      await prune(request(left.repository, 48))
      await prune(request(left.repository, 75))
      expect(segmentsOf(left)[1]).toBe(FIRST)
      expect(await findings(left)).toEqual([])
    }
  }, 60_000)

  test('is not missed by the second reader either, which knows the trim from its description alone', async () => {
    await trimmed(bench)
    const folder = await mkdtemp(join(tmpdir(), 'chartkeep-trim-'))
    try {
      for (const [name, bytes] of bench.store.objects) {
        const path = join(folder, 'repository', name)
        await mkdir(dirname(path), { recursive: true })
        await writeFile(path, bytes)
      }
      await mkdir(join(folder, 'repository', '+tmp'), { recursive: true })
      await writeFile(join(folder, 'key-file'), keyFile)
      const where = ['--repo', join(folder, 'repository'), '--key-file', join(folder, 'key-file')]
      const whole = await runRescue(...where, '--log')
      expect(whole.stdout).toContain(`${SEGMENTS - FIRST} segments, to 0/4B0`)
      expect(whole.status).toBe(0)
      await rm(join(folder, 'repository', 'trims'), { recursive: true })
      expect((await runRescue(...where, '--log')).status).not.toBe(0)
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
