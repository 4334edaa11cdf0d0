/**
 * Snapshots along the change log: the way that was taken is asserted each time (F30), and the roots are held against
 * those of a full read of the same rows. Over a fake database; the real one is in `incremental-postgres.test.ts`.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type SnapshotReport, type SnapshotRequest, takeSnapshot } from '../../src/backup/snapshot.ts'
import type { PatientLayout } from '../../src/intake/table-plan.ts'
import { packKey } from '../../src/repository/layout.ts'
import { acquireLease, CAPTURE_LEASE, leaseName } from '../../src/repository/lease.ts'
import type { Manifest } from '../../src/repository/manifest.ts'
import { CaptureRig, FAST, until } from '../support/capture-rig.ts'
import type { FakeChange } from '../support/fake-database.ts'
import { FakeSource, InProcessPool } from '../support/fake-source.ts'
import type { MemoryStore } from '../support/memory-store.ts'
import { copyOf } from '../support/sim-repository.ts'

const layout: PatientLayout = {
  patient: { table: 'public.patient', key: 'patient_id', label: [] },
  anchors: new Map([
    ['public.vital', 'patient_id'],
    ['public.log', 'patient_id'],
  ]),
  categories: new Map(),
  links: [],
  exclude: new Set(),
}

/** A rig whose database has a table with a locator, too. */
async function makeRig(): Promise<CaptureRig> {
  const rig = await CaptureRig.make()
  rig.settings = { ...FAST, sealMs: 5, progressMs: 10, heartbeatMs: 10_000 }
  const lines = Array.from({ length: 50 }, (_, n) => `${n}\t${n % 5}\t${n * 7}.5`)
  rig.database.tables['public.vital'] = { columns: ['id', 'patient_id', 'value'], primaryKey: ['id'], lines }
  return rig
}

let clockMs = Date.UTC(2026, 0, 3)

async function backUp(rig: CaptureRig, options: Partial<SnapshotRequest> = {}): Promise<SnapshotReport> {
  const repository = rig.repository()
  const startMs = performance.now()
  clockMs += 60_000
  return await takeSnapshot({
    sourceName: 'icu',
    source: rig.database.source(),
    layout,
    repository,
    pool: new InProcessPool(rig.database.tables, repository.store),
    signal: new AbortController().signal,
    nowMs: () => clockMs + performance.now() - startMs,
    sleep: async (ms) => await new Promise((resolve) => setTimeout(resolve, Math.min(ms, 5))),
    onProgress: () => {},
    ...options,
  })
}

async function manifestOf(rig: CaptureRig, { snapshot }: SnapshotReport): Promise<Manifest> {
  return (await rig.repository().readManifest(snapshot)).manifest
}

/** Roots by table; of a full read of the rows as they are now, in a copy of the repository. */
async function rootsOfFullRead(rig: CaptureRig): Promise<Record<string, unknown>> {
  const repository = rig.repository(copyOf(rig.simulated.store as MemoryStore))
  const report = await takeSnapshot({
    sourceName: 'full',
    source: new FakeSource(rig.database.tables),
    layout,
    repository,
    pool: new InProcessPool(rig.database.tables, repository.store),
    signal: new AbortController().signal,
    nowMs: () => clockMs,
    sleep: async () => {},
    onProgress: () => {},
  })
  return roots((await repository.readManifest(report.snapshot)).manifest)
}

function roots({ tables }: Manifest): Record<string, unknown> {
  return Object.fromEntries(
    tables.map(({ name, rows, locator }) => [name, [rows.digest, rows.rows, locator?.digest ?? null]]),
  )
}

async function connected(rig: CaptureRig) {
  const session = rig.start()
  await until(() => session.events.some(({ kind }) => kind === 'connected'))
  return session
}

/** As capture does: each time tables changed, it begins again. */
function startAgainAndAgain(rig: CaptureRig): { stop(): Promise<void> } {
  let current = rig.start()
  const again = (session: typeof current) => {
    session.ended.then(
      (end) => {
        if (end !== 'tables-changed') return
        current = rig.start()
        again(current)
      },
      () => {},
    )
  }
  again(current)
  return {
    stop: async () => {
      await current.stop()
    },
  }
}

describe('a backup beside a running capture', () => {
  it('begins with a base that stands in the log, and goes on by what changed', async () => {
    const rig = await makeRig()
    const session = await connected(rig)
    const base = await backUp(rig)
    expect(base).toMatchObject({ mode: 'base', tablesRead: 4, tablesFolded: 0 })
    expect(base.log).not.toBeNull()

    rig.database.commit(
      { kind: 'insert', table: 'public.vital', after: '100\t3\t1.25' },
      { kind: 'update', table: 'public.vital', after: '7\t4\t99' },
      { kind: 'delete', table: 'public.vital', before: '8\t\\u\t\\u' },
    )
    rig.database.commit({ kind: 'insert', table: 'public.log', after: '1\talarm' })
    const second = await backUp(rig)

    expect(second).toMatchObject({ mode: 'incremental', tablesRead: 1, tablesFolded: 3, changes: 3 })
    expect(second.modeReason).toContain('public.log (no primary key)')
    const manifest = await manifestOf(rig, second)
    expect(roots(manifest)).toEqual(await rootsOfFullRead(rig))
    expect(manifest.tables.map(({ name, taken, resolution }) => [name, taken, resolution])).toEqual([
      ['public.drug', 'folded', 'transaction'],
      ['public.log', 'read', 'snapshot'],
      ['public.patient', 'folded', 'transaction'],
      ['public.vital', 'folded', 'transaction'],
    ])
    expect(manifest.tables[3]!.changes?.rows).toBeGreaterThanOrEqual(3)
    expect(manifest.log?.transactions?.rows).toBeGreaterThanOrEqual(1)
    await session.stop()
  })

  it('reads nothing of what it folds (F30)', async () => {
    const rig = await makeRig()
    delete rig.database.tables['public.log']
    const session = await connected(rig)
    await backUp(rig, { layout: { ...layout, anchors: new Map([['public.vital', 'patient_id']]) } })
    rig.database.insert('public.drug', 'D1')

    const report = await backUp(rig, { layout: { ...layout, anchors: new Map([['public.vital', 'patient_id']]) } })

    expect(report).toMatchObject({ mode: 'incremental', tablesRead: 0, tablesFolded: 3, bytesRead: 0 })
    await session.stop()
  })

  it('again and again equals a full read each time', async () => {
    const change = (ids: fc.Arbitrary<number>) =>
      fc.tuple(fc.constantFrom('insert', 'update', 'delete', 'move'), ids, fc.integer({ min: 0, max: 4 }))
    const rounds = fc.array(fc.array(change(fc.integer({ min: 0, max: 80 })), { maxLength: 12 }), {
      minLength: 1,
      maxLength: 4,
    })
    await fc.assert(
      fc.asyncProperty(rounds, async (history) => {
        const rig = await makeRig()
        const session = await connected(rig)
        await backUp(rig)
        for (const round of history) {
          for (const each of round) playOne(rig, each)
          const report = await backUp(rig)
          expect(report.mode).toBe('incremental')
          expect(roots(await manifestOf(rig, report))).toEqual(await rootsOfFullRead(rig))
        }
        await session.stop()
      }),
      { numRuns: 5 },
    )
  })

  it('reads a table anew whose definition changed, and goes on folding it afterwards (P2)', async () => {
    const rig = await makeRig()
    const first = await connected(rig)
    await backUp(rig)
    rig.database.tables['public.drug'] = { ...rig.database.tables['public.drug']!, lines: ['rewritten'] }
    rig.database.redefine('public.drug')
    rig.database.insert('public.vital', '200\t1\t5')
    await first.ended
    const second = await connected(rig)

    const reread = await backUp(rig)
    expect(reread).toMatchObject({ mode: 'incremental', tablesRead: 2, tablesFolded: 2 })
    expect(reread.modeReason).toContain('public.drug (its definition changed since the last snapshot)')
    expect(roots(await manifestOf(rig, reread))).toEqual(await rootsOfFullRead(rig))

    rig.database.insert('public.drug', 'D9')
    const next = await backUp(rig)
    expect(next).toMatchObject({ mode: 'incremental', tablesRead: 1, tablesFolded: 3 })
    expect(roots(await manifestOf(rig, next))).toEqual(await rootsOfFullRead(rig))
    await second.stop()
  })

  it('begins again when a definition changes while it reads', async () => {
    const rig = await makeRig()
    const capturing = startAgainAndAgain(rig)
    await until(async () => (await rig.listLogs()).length === 1)
    await backUp(rig)
    const source = rig.database.source()
    let reads = 0
    const openRead: typeof source.openRead = async (options) => {
      reads += 1
      const read = await source.openRead(options)
      if (reads === 1) rig.database.redefine('public.drug')
      return read
    }

    const report = await backUp(rig, { source: { ...source, openRead } })

    expect(reads).toBe(2)
    expect(report.mode).toBe('incremental')
    expect(report.modeReason).toContain('public.drug (its definition changed')
    expect(roots(await manifestOf(rig, report))).toEqual(await rootsOfFullRead(rig))
    await capturing.stop()
  })

  it('takes in a table that is new', async () => {
    const rig = await makeRig()
    const capturing = startAgainAndAgain(rig)
    await until(async () => (await rig.listLogs()).length === 1)
    await backUp(rig)
    rig.database.tables['public.bed'] = { columns: ['bed'], primaryKey: ['bed'], lines: ['1', '2'] }
    const first = await backUp(rig)
    expect(first.modeReason).toContain('public.bed (new)')
    await until(async () => (await (await rig.newestLog()).fingerprint()).has('public.bed'))
    rig.database.insert('public.bed', '3')
    const second = await backUp(rig)
    rig.database.insert('public.bed', '4')
    const third = await backUp(rig)

    expect(second.mode).toBe('incremental')
    expect(third.tablesFolded).toBe(4)
    expect(roots(await manifestOf(rig, third))).toEqual(await rootsOfFullRead(rig))
    await capturing.stop()
  })

  it('reads anew what the snapshot before has lost, and carries on the rest', async () => {
    const rig = await makeRig()
    const session = await connected(rig)
    const base = await manifestOf(rig, await backUp(rig, { packBytesTarget: 1 }))
    const vital = base.tables.find(({ name }) => name === 'public.vital')!
    const { objects } = rig.simulated.store as MemoryStore
    objects.delete(packKey(vital.rows.pack))
    rig.database.insert('public.drug', 'D1')

    const report = await backUp(rig)

    expect(report).toMatchObject({ mode: 'incremental', tablesRead: 2, tablesFolded: 2 })
    expect(report.modeReason).toContain('public.vital (the last snapshot lost something of it)')
    expect(roots(await manifestOf(rig, report))).toEqual(await rootsOfFullRead(rig))
    await session.stop()
  })

  it('carries on what a read did not see yet, though it had committed (P3)', async () => {
    const rig = await makeRig()
    const session = await connected(rig)
    await backUp(rig)
    // In the log, and not in what the next read sees.
    const late = rig.database.insert('public.drug', 'late')
    rig.database.hidden = new Set([rig.database.xid])
    const visible = Object.values(rig.database.tables['public.drug']!.lines).filter((line) => line !== 'late')
    rig.database.insert('public.drug', 'seen')
    const second = await backUp(rig)
    const held = await manifestOf(rig, second)
    expect(held.tables.find(({ name }) => name === 'public.drug')!.rows.rows).toBe(visible.length + 1)
    expect(held.log!.scanFrom).toBe(`0/${(late - 1n).toString(16).toUpperCase()}`)

    rig.database.hidden = new Set()
    const third = await backUp(rig)

    expect(third).toMatchObject({ mode: 'incremental', transactions: expect.any(Number) })
    expect(roots(await manifestOf(rig, third))).toEqual(await rootsOfFullRead(rig))
    await session.stop()
  })

  it('finds what waits for its standby though nobody is in progress by the list (P3)', async () => {
    const rig = await makeRig()
    const session = await connected(rig)
    const late = rig.database.insert('public.drug', 'late')
    rig.database.hidden = new Set([rig.database.xid])
    await rig.settled(late)
    const second = await backUp(rig)
    const held = await manifestOf(rig, second)
    expect(held.position.visible).toMatch(/:$/)
    expect(held.log!.scanFrom).toBe(`0/${(late - 1n).toString(16).toUpperCase()}`)
    await session.stop()
  })

  it('follows a table from its publication on only when nobody older is still open (P7)', async () => {
    const rig = await makeRig()
    rig.database.unpublished.add('public.drug')
    const first = await connected(rig)
    await backUp(rig)
    await first.stop()
    // Wrote before the table was published, and has not ended.
    rig.database.insert('public.drug', 'old')
    rig.database.hidden = new Set([rig.database.xid])
    rig.database.unpublished.delete('public.drug')
    const session = await connected(rig)
    await rig.settled(rig.database.insert('public.drug', 'new'))

    const meanwhile = [await backUp(rig), await backUp(rig)]
    for (const report of meanwhile) {
      expect(report).toMatchObject({ mode: 'incremental' })
      expect(drugOf(await manifestOf(rig, report))).toMatchObject({
        resolution: 'snapshot',
        resolutionReason: 'a transaction older than its capture is open',
      })
    }

    rig.database.hidden = new Set()
    const after = await manifestOf(rig, await backUp(rig))
    expect(drugOf(after)).toMatchObject({ resolution: 'transaction' })
    expect(roots(after)).toEqual(await rootsOfFullRead(rig))
    await session.stop()
  })

  it('does not follow a table whose definition changed under an open transaction, in a full read either (P7)', async () => {
    const rig = await makeRig()
    const first = await connected(rig)
    rig.database.redefine('public.drug')
    rig.database.insert('public.drug', 'old')
    const old = rig.database.xid
    await first.ended
    const session = await connected(rig)
    await rig.settled(rig.database.insert('public.drug', 'new'))
    rig.database.hidden = new Set([old])

    const { tables } = await manifestOf(rig, await backUp(rig))

    expect(tables.filter(({ resolution }) => resolution === 'transaction').map(({ name }) => name)).not.toContain(
      'public.drug',
    )
    expect(tables.find(({ name }) => name === 'public.patient')).toMatchObject({ resolution: 'transaction' })
    await session.stop()
  })
})

function drugOf({ tables }: Manifest): Manifest['tables'][number] | undefined {
  return tables.find(({ name }) => name === 'public.drug')
}

describe('a backup that cannot go along the log says why, and reads every row', () => {
  it('because nobody captures', async () => {
    const rig = await makeRig()
    await backUp(rig)

    const report = await backUp(rig)

    expect(report).toMatchObject({ mode: 'full-read', log: null })
    expect(report.modeReason).toBe('changes are not captured: every row was read')
  })

  it('because the source was put back behind the log with its slot', async () => {
    const rig = await makeRig()
    const session = await connected(rig)
    await backUp(rig)
    const earlier = rig.database.clone()
    for (let n = 0; n < 10; n += 1) rig.database.insert('public.drug', `D${n}`)
    await rig.settled(rig.database.lsn)
    await session.stop()
    rig.database = earlier

    const idle = await backUp(rig)
    earlier.slots.get(rig.slot)!.active = true
    const followed = await backUp(rig)

    for (const report of [idle, followed]) {
      expect(report).toMatchObject({ mode: 'full-read', log: null })
      expect(report.modeReason).toMatch(/takes no place in the change log: the source stands at .* was put back/)
    }
  })

  it('not because a capture that is alive waits for its network: it is waited for', async () => {
    const rig = await makeRig()
    const session = await connected(rig)
    await backUp(rig)
    rig.database.insert('public.drug', 'D1')
    const repository = rig.repository()
    const name = leaseName(repository.id, CAPTURE_LEASE, 'icu')
    const nowMs = () => clockMs + 60_000
    const lease = await acquireLease(repository, { name, holder: 'a capture', leaseMs: 30_000, nowMs })
    const slot = rig.database.slots.get(rig.slot)!
    slot.active = false
    setTimeout(() => {
      slot.active = true
    }, 600)
    const startMs = performance.now()
    const tenTimesAsFast = () => clockMs + 60_000 + 10 * (performance.now() - startMs)

    expect(await backUp(rig, { nowMs: tenTimesAsFast })).toMatchObject({ mode: 'incremental' })
    await lease.release()
    await session.stop()
  })

  it('because capture has ended; the next goes on from it all the same', async () => {
    const rig = await makeRig()
    const first = await connected(rig)
    await backUp(rig)
    await first.stop()
    rig.database.insert('public.drug', 'D1')

    const full = await backUp(rig)
    expect(full).toMatchObject({ mode: 'full-read' })
    expect(full.modeReason).toContain('capture is not running')
    expect(full.log).not.toBeNull()

    const second = await connected(rig)
    rig.database.insert('public.drug', 'D2')
    const report = await backUp(rig)
    expect(report.mode).toBe('incremental')
    expect(roots(await manifestOf(rig, report))).toEqual(await rootsOfFullRead(rig))
    await second.stop()
  })

  it('because the slot was lost in between: a gap is never folded over (F9, F10)', async () => {
    const rig = await makeRig()
    const first = await connected(rig)
    await backUp(rig)
    await first.stop()
    rig.database.slots.delete(rig.slot)
    rig.database.insert('public.drug', 'never captured')
    const second = await connected(rig)

    const report = await backUp(rig)

    expect(report.mode).toBe('full-read')
    expect(report.modeReason).toContain('the change log began anew since the last snapshot: slot')
    expect(roots(await manifestOf(rig, report))).toEqual(await rootsOfFullRead(rig))
    await second.stop()
  })

  it('because a segment is damaged', async () => {
    const rig = await makeRig()
    const session = await connected(rig)
    await backUp(rig)
    await rig.settled(rig.database.insert('public.drug', 'D1'))
    const { objects } = rig.simulated.store as MemoryStore
    const newest = [...objects.keys()]
      .filter((key) => key.startsWith('segments/'))
      .sort()
      .at(-1)!
    const sealed = Buffer.from(objects.get(newest)!)
    await rig.settled(rig.database.insert('public.drug', 'D2'))
    sealed[sealed.length - 1]! ^= 1
    objects.set(newest, sealed)

    const report = await backUp(rig)

    expect(report.mode).toBe('full-read')
    expect(report.modeReason).toContain('is damaged')
    expect(roots(await manifestOf(rig, report))).toEqual(await rootsOfFullRead(rig))
    await session.stop()
  })

  it('after one that failed: its changes are in the next (F8)', async () => {
    const rig = await makeRig()
    const session = await connected(rig)
    await backUp(rig)
    rig.database.insert('public.drug', 'D1')
    const repository = rig.repository(
      new Proxy(rig.simulated.store, {
        get: (target, name) => {
          const value: unknown = Reflect.get(target, name, target)
          if (typeof value !== 'function') return value
          return (...args: unknown[]) => {
            if (name === 'put' && String(args[0]).startsWith('manifests/')) throw new Error('the disk is gone')
            return value.apply(target, args)
          }
        },
      }),
    )
    await expect(backUp(rig, { repository })).rejects.toThrow('the disk is gone')
    rig.database.insert('public.drug', 'D2')

    const report = await backUp(rig)

    expect(report).toMatchObject({ mode: 'incremental', changes: 2 })
    expect(roots(await manifestOf(rig, report))).toEqual(await rootsOfFullRead(rig))
    await session.stop()
  })
})

function playOne(rig: CaptureRig, [kind, id, patient]: readonly [string, number, number]): void {
  const { lines } = rig.database.tables['public.vital']!
  const found = lines.find((line) => line.startsWith(`${id}\t`))
  const after = `${id}\t${patient}\t${id + patient}.${lines.length}`
  const changes: FakeChange[] = []
  if (kind === 'insert' && !found) changes.push({ kind: 'insert', table: 'public.vital', after })
  if (kind === 'update' && found) changes.push({ kind: 'update', table: 'public.vital', after })
  if (kind === 'delete' && found) changes.push({ kind: 'delete', table: 'public.vital', before: `${id}\t\\u\t\\u` })
  if (kind === 'move' && found && !lines.some((line) => line.startsWith(`${id + 1000}\t`))) {
    const moved = `${id + 1000}\t${patient}\tmoved`
    changes.push({ kind: 'update', table: 'public.vital', before: `${id}\t\\u\t\\u`, after: moved })
  }
  if (changes.length > 0) rig.database.commit(...changes)
}
