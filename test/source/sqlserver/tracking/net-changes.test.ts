/**
 * Snapshots by net changes, from the model of Change Tracking to the trees: whatever happens to the database, roots are
 * those of a full read of the same rows, and the way that was taken is said (F30).
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type SnapshotReport, takeSnapshot } from '../../../../src/backup/snapshot.ts'
import type { BuildPool } from '../../../../src/intake/build-pool.ts'
import type { PatientLayout } from '../../../../src/intake/table-plan.ts'
import type { Manifest } from '../../../../src/repository/manifest.ts'
import type { Repository } from '../../../../src/repository/repository.ts'
import { compareDatabase } from '../../../../src/verify/compare.ts'
import { FakeSource, InProcessPool } from '../../../support/fake-source.ts'
import type { MemoryStore } from '../../../support/memory-store.ts'
import { copyOf, makeSimRepository, type SimRepository } from '../../../support/sim-repository.ts'
import { type ModelChange, TrackingModel } from './tracking-model.ts'

/** One whose key is its anchor, one with a locator, one whose keys a collation compares, one without a key. */
const [PATIENT, VITAL, DRUG, NOTE] = ['dbo.patient', 'dbo.vital', 'dbo.drug', 'dbo.note']
const layout: PatientLayout = {
  patient: { table: PATIENT, key: 'id', label: [] },
  anchors: new Map([
    [VITAL, 'patient'],
    [NOTE, 'patient'],
  ]),
  categories: new Map(),
  links: [],
  exclude: new Set(),
}

class Ward {
  readonly model = new TrackingModel()
  readonly #simulated: SimRepository
  #atMs = Date.UTC(2026, 0, 3)

  private constructor(simulated: SimRepository) {
    this.#simulated = simulated
    this.model.table(PATIENT, ['id', 'name'])
    this.model.table(VITAL, ['id', 'patient', 'value'])
    this.model.table(DRUG, ['code', 'name'])
    this.model.table(NOTE, ['patient', 'text'], { isKeyed: false })
    const count = (length: number, change: (n: number) => ModelChange) => Array.from({ length }, (_, n) => change(n))
    this.model.commit(...count(4, (n) => ({ table: PATIENT, key: `${n}`, line: `${n}\tp${n}` })))
    this.model.commit(...count(40, (n) => ({ table: VITAL, key: `${n}`, line: `${n}\t${n % 4}\t${n}.5` })))
    this.model.commit(...count(6, (n) => ({ table: DRUG, key: `d${n}`, line: `d${n}\tdrug ${n}` })))
    this.model.commit({ table: NOTE, key: '1\tquiet', line: '1\tquiet' })
  }

  static async make(): Promise<Ward> {
    return new Ward(await makeSimRepository())
  }

  repository(store = this.#simulated.store): Repository {
    return this.#simulated.over(store)
  }

  async backUp(): Promise<SnapshotReport> {
    return await this.#take(this.repository(), 'icu')
  }

  async manifestOf({ snapshot }: SnapshotReport): Promise<Manifest> {
    return (await this.repository().readManifest(snapshot)).manifest
  }

  /** Of the rows as the last backup read them. */
  async rootsOfFullRead(): Promise<unknown> {
    const repository = this.repository(copyOf(this.#simulated.store as MemoryStore))
    const full = await this.#take(repository, 'full', new FakeSource({ ...this.model.reading }))
    return rootsOf((await repository.readManifest(full.snapshot)).manifest)
  }

  async #take(repository: Repository, sourceName: string, source = this.model.source() as FakeSource) {
    this.#atMs += 60_000
    return await takeSnapshot({
      ...{ sourceName, source, layout, repository },
      pool: new InProcessPool(this.model.reading, repository.store),
      signal: new AbortController().signal,
      nowMs: () => this.#atMs,
      sleep: async () => {},
      onProgress: () => {},
    })
  }
}

function rootsOf({ tables }: Manifest): unknown {
  return tables.map(({ name, rows, locator }) => [name, rows.digest, rows.rows, locator?.digest ?? null])
}

/** How each table came into the snapshot, and why so. */
function waysOf({ tables }: Manifest): Record<string, string> {
  return Object.fromEntries(tables.map(({ name, taken, resolutionReason }) => [name, `${taken}: ${resolutionReason}`]))
}

const vital = (id: string, patient: string, value: string): ModelChange => {
  return { table: VITAL, key: id, line: `${id}\t${patient}\t${value}` }
}

describe('a backup by net changes', () => {
  it('begins with a base, and reads only rows that changed, and tables that are not tracked (F30)', async () => {
    const ward = await Ward.make()
    const base = await ward.backUp()
    expect(base).toMatchObject({ mode: 'base', tablesRead: 4, tablesFolded: 0, log: null })

    ward.model.commit(vital('7', '3', '99'), vital('100', '2', '1'), { table: VITAL, key: '8', line: null })
    ward.model.commit({ table: PATIENT, key: '3', line: '30\tp3' })
    const second = await ward.backUp()

    const manifest = await ward.manifestOf(second)
    expect(second).toMatchObject({ mode: 'incremental', tablesRead: 1, tablesFolded: 3, changes: 5, log: null })
    expect(second.bytesRead).toBeLessThan(100)
    expect(second.modeReason).toBe(
      `3 tables carried on from ${base.snapshot} by net changes, 1 read: dbo.note (no primary key)`,
    )
    expect(waysOf(manifest)[VITAL]).toMatch(/^folded: net changes since version \d+: nothing is known of moments/)
    expect(manifest.tables.map(({ resolution }) => resolution)).toEqual(Array(4).fill('snapshot'))
    expect(rootsOf(manifest)).toEqual(await ward.rootsOfFullRead())
    expect(ward.model.lines(VITAL)).toHaveLength(40)
  })

  it('stores nothing where nothing changed', async () => {
    const ward = await Ward.make()
    await ward.backUp()
    expect(await ward.backUp()).toMatchObject({ tablesFolded: 3, changes: 0, leavesStored: 0 })
  })

  it('sees what committed while a read began once, or twice, and never not', async () => {
    const ward = await Ward.make()
    await ward.backUp()
    for (const moment of ['begin', 'catalogs', 'tracked', 'reached', 'changes told']) {
      let left = 2
      ward.model.meanwhile = (question) => {
        if (question === moment && left-- > 0)
          ward.model.commit(vital(`${moment}${left}`, '1', '1'), vital('3', '2', moment))
      }
      const report = await ward.backUp()
      expect(report).toMatchObject({ mode: 'incremental', tablesFolded: 3 })
      expect(rootsOf(await ward.manifestOf(report))).toEqual(await ward.rootsOfFullRead())
    }
  })

  it('reads a table of which too much changed', async () => {
    const ward = await Ward.make()
    await ward.backUp()
    ward.model.commit(...Array.from({ length: 10_001 }, (_, n) => vital(`${n}`, '1', 'new')))
    const report = await ward.backUp()
    expect(waysOf(await ward.manifestOf(report))[VITAL]).toBe(
      'read: too many of its rows changed since the last snapshot',
    )
    expect(rootsOf(await ward.manifestOf(report))).toEqual(await ward.rootsOfFullRead())
  })
})

const altered = 'read: it was altered, truncated or tracked anew since the last snapshot'

describe('a table is read, and said to be,', () => {
  const cases: [string, (model: TrackingModel) => void, string, string][] = [
    ['when it was truncated, though no version passed', (model) => model.truncate(VITAL), VITAL, altered],
    [
      'when it was dropped and made again',
      (model) => model.recreate(DRUG),
      DRUG,
      'read: it is kept in another way than in the last snapshot',
    ],
    ['when a column was altered', (model) => model.alter(PATIENT), PATIENT, altered],
    ['when its tracking ended', (model) => model.untrack(VITAL), VITAL, 'read: Change Tracking does not follow it'],
    [
      'when it was not tracked for a while, though no version passed (F9)',
      (model) => {
        model.untrack(VITAL)
        model.commit(vital('5', '1', 'unseen'))
        model.track(VITAL)
      },
      VITAL,
      altered,
    ],
    [
      'when retention has passed (F9)',
      (model) => {
        model.commit(vital('5', '1', 'old'))
        model.cleanUp()
      },
      VITAL,
      'read: Change Tracking does not reach back to version 4',
    ],
    [
      'when versions are counted anew, and have come further than before',
      (model) => {
        model.commit(vital('5', '1', 'unseen'))
        model.trackAllAnew()
        for (let n = 0; n < 20; n += 1) model.commit(vital('6', '1', `${n}`))
      },
      VITAL,
      'read: Change Tracking does not reach back to version 4',
    ],
    [
      'when our own table was not tracked for a while',
      (model) => {
        model.untrackSeen()
        model.trackSeen()
      },
      VITAL,
      'read: Change Tracking does not reach back to version 4',
    ],
    [
      'when clean-up comes between check and read (F15)',
      (model) => {
        model.commit(vital('5', '1', 'cleaned away'))
        model.meanwhile = (question) => {
          if (question === `changes of ${VITAL}`) model.cleanUp(1)
        }
      },
      VITAL,
      'read: Change Tracking does not reach back to version 4',
    ],
    [
      'when only its own changes were cleaned away (F15)',
      (model) => {
        model.commit(vital('5', '1', 'cleaned away'))
        model.cleanUp(0, VITAL)
      },
      VITAL,
      'read: its changes are kept from version 5 on, wanted from 4',
    ],
    [
      'when it is altered while the read begins',
      (model) => {
        model.meanwhile = (question) => {
          if (question === 'begin') model.alter(VITAL)
        }
      },
      VITAL,
      altered,
    ],
    [
      'when the server lost a row of it',
      (model) => {
        model.loses = ({ line }) => line === null
        model.commit({ table: VITAL, key: '5', line: null })
      },
      VITAL,
      'read: by its net changes it would have 40 rows, the source has 39',
    ],
    [
      'when a key is spelled in another way, and only the new one is told',
      (model) => model.commit({ table: DRUG, key: 'd2', line: 'D2\tdrug 2' }),
      DRUG,
      'read: by its net changes it would have 7 rows, the source has 6',
    ],
  ]
  it.each(cases)('%s', async (_, happens, table, way) => {
    const ward = await Ward.make()
    await ward.backUp()
    happens(ward.model)
    const manifest = await ward.manifestOf(await ward.backUp())
    expect(waysOf(manifest)[table]).toBe(way)
    expect(rootsOf(manifest)).toEqual(await ward.rootsOfFullRead())
    ward.model.meanwhile = () => {}
    // What was altered while a read began is marked as it was before.
    await ward.backUp()
    const next = await ward.manifestOf(await ward.backUp())
    const isTracked = !way.includes('does not follow')
    expect(next.tables.find(({ name }) => name === table)?.taken).toBe(isTracked ? 'folded' : 'read')
  })

  it('when the database was put back, and has come further than before (F14)', async () => {
    const ward = await Ward.make()
    await ward.backUp()
    const restore = ward.model.save()
    ward.model.commit(vital('5', '1', 'of the time that is gone'))
    await ward.backUp()
    restore()
    for (let n = 0; n < 20; n += 1) ward.model.commit(vital('6', '1', `${n}`))
    const manifest = await ward.manifestOf(await ward.backUp())
    expect(waysOf(manifest)[VITAL]).toMatch(/^read: the database was put back to before the last snapshot/)
    expect(rootsOf(manifest)).toEqual(await ward.rootsOfFullRead())
  })

  it('when it is tracked anew while a read begins, and again, though no version passed', async () => {
    const ward = await Ward.make()
    let unseen = 0
    const anew = () => {
      ward.model.untrack(VITAL)
      ward.model.commit(vital('5', '1', `unseen ${unseen++}`))
      ward.model.track(VITAL)
    }
    let isFirst = true
    ward.model.meanwhile = (question) => {
      if (question !== 'tracked' || !isFirst) return
      isFirst = false
      anew()
    }
    await ward.backUp()
    anew()
    const manifest = await ward.manifestOf(await ward.backUp())
    expect(waysOf(manifest)[VITAL]).toBe(altered)
    expect(rootsOf(manifest)).toEqual(await ward.rootsOfFullRead())
  })

  it('a database put back to after the last snapshot is carried on', async () => {
    const ward = await Ward.make()
    await ward.backUp()
    ward.model.commit(vital('5', '1', 'kept'))
    const restore = ward.model.save()
    ward.model.commit(vital('5', '1', 'gone'))
    restore()
    const report = await ward.backUp()
    expect(report.tablesFolded).toBe(3)
    expect(rootsOf(await ward.manifestOf(report))).toEqual(await ward.rootsOfFullRead())
  })

  it('and every table, where the database tells nothing any more', async () => {
    const ward = await Ward.make()
    await ward.backUp()
    ward.model.hasTracking = false
    const report = await ward.backUp()
    expect(report).toMatchObject({ mode: 'full-read', tablesRead: 4 })
    expect(report.modeReason).toBe('the source does not tell net changes any more: every row was read')
  })
})

it('a spelling is told by both its keys', async () => {
  const ward = await Ward.make()
  await ward.backUp()
  ward.model.spell(true)
  ward.model.commit({ table: DRUG, key: 'd2', line: 'D2\tdrug 2' })
  const report = await ward.backUp()
  expect(report.tablesFolded).toBe(3)
  expect(rootsOf(await ward.manifestOf(report))).toEqual(await ward.rootsOfFullRead())
})

type Step = (model: TrackingModel) => void

const id = fc.integer({ min: 0, max: 12 }).map(String)
const drug = fc.constantFrom('d1', 'D1', 'd2', 'D2', 'e')
const change: fc.Arbitrary<ModelChange> = fc.oneof(
  fc
    .tuple(
      id,
      id,
      fc.string({ maxLength: 3, unit: 'binary-ascii' }).map((text) => text.replaceAll(/[\s\\]/g, '_')),
    )
    .map(([key, patient, value]) => vital(key, patient, value)),
  fc.tuple(id, id, id).map(([key, to, patient]) => ({ table: VITAL, key, line: `${to}\t${patient}\tmoved` })),
  fc.tuple(drug, drug, id).map(([key, to, name]) => ({ table: DRUG, key, line: `${to}\t${name}` })),
  fc.tuple(id, id).map(([key, to]) => ({ table: PATIENT, key, line: `${to}\tp` })),
  fc.tuple(fc.constantFrom(VITAL, PATIENT), id).map(([table, key]) => ({ table, key, line: null })),
  drug.map((key) => ({ table: DRUG, key, line: null })),
  id.map((key) => ({ table: NOTE, key: `${key}\tx`, line: `${key}\tx` })),
)
const table = fc.constantFrom(PATIENT, VITAL, DRUG)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc
      .array(change, { minLength: 1, maxLength: 6 })
      .map((changes) => (model: TrackingModel) => model.commit(...changes)),
  },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 3 }).map((kept) => (model: TrackingModel) => model.cleanUp(kept)) },
  { weight: 1, arbitrary: table.map((name) => (model: TrackingModel) => model.truncate(name)) },
  { weight: 1, arbitrary: table.map((name) => (model: TrackingModel) => model.recreate(name)) },
  { weight: 1, arbitrary: table.map((name) => (model: TrackingModel) => model.alter(name)) },
  { weight: 1, arbitrary: table.map((name) => (model: TrackingModel) => model.untrack(name)) },
  { weight: 2, arbitrary: table.map((name) => (model: TrackingModel) => model.track(name)) },
  { weight: 1, arbitrary: fc.constant((model: TrackingModel) => model.trackAllAnew()) },
  { weight: 1, arbitrary: fc.constant((model: TrackingModel) => model.untrackSeen()) },
  { weight: 2, arbitrary: fc.constant((model: TrackingModel) => model.trackSeen()) },
  {
    weight: 1,
    arbitrary: fc.boolean().map((first) => (model: TrackingModel) => model.spell(first)),
  },
)
const turn = fc.record({
  before: fc.array(step, { maxLength: 5 }),
  /** Each with the number of the question before which it happens. */
  during: fc.array(fc.tuple(fc.integer({ min: 0, max: 25 }), step), { maxLength: 3 }),
  save: fc.boolean(),
  restore: fc.boolean(),
})

describe('whatever happens', () => {
  it('a snapshot has the roots of a full read', async () => {
    const seen = { folded: 0, read: 0 }
    await fc.assert(
      fc.asyncProperty(fc.array(turn, { minLength: 2, maxLength: 6 }), async (turns) => {
        const ward = await Ward.make()
        let restore = () => {}
        for (const { before, during, ...rest } of turns) {
          if (rest.save) restore = ward.model.save()
          for (const happens of before) happens(ward.model)
          if (rest.restore) restore()
          let questions = 0
          ward.model.meanwhile = () => {
            for (const [at, happens] of during) if (at === questions) happens(ward.model)
            questions += 1
          }
          const report = await ward.backUp()
          ward.model.meanwhile = () => {}
          const manifest = await ward.manifestOf(report)
          expect(rootsOf(manifest)).toEqual(await ward.rootsOfFullRead())
          for (const { taken } of manifest.tables) seen[taken ?? 'read'] += 1
        }
      }),
      { numRuns: Number(process.env.TRACKING_RUNS ?? 20) },
    )
    expect(seen.folded).toBeGreaterThan(seen.read / 20)
  }, 600_000)
})

describe('once a week', () => {
  it('a table is read, which proves its net changes', async () => {
    const ward = await Ward.make()
    await ward.backUp()
    ward.model.days = 6.9
    ward.model.commit(vital('5', '1', 'a'))
    expect((await ward.backUp()).tablesFolded).toBe(3)
    ward.model.days = 7
    ward.model.commit(vital('5', '1', 'b'))
    const report = await ward.backUp()
    expect(report).toMatchObject({ mode: 'full-read', tablesRead: 4, tablesHealed: [], changesLeftOut: [] })
    expect(waysOf(await ward.manifestOf(report))[VITAL]).toBe('read: read once a week, which proves its net changes')
    expect((await ward.backUp()).tablesFolded).toBe(3)
  })

  it('what the server never told is found, and said', async () => {
    const ward = await Ward.make()
    await ward.backUp()
    ward.model.loses = ({ key }) => key === '5'
    ward.model.commit(vital('5', '1', 'lost'), vital('6', '1', 'told'))
    expect((await ward.backUp()).tablesFolded).toBe(3)
    ward.model.days = 7
    const report = await ward.backUp()
    expect(report).toMatchObject({
      tablesHealed: [],
      changesLeftOut: [{ table: VITAL, since: '2026-01-02T00:00:00.000000Z' }],
    })
    expect(report.modeReason).toContain(
      'dbo.vital (its net changes left something out: snapshots since that of 2026-01-02T00:00:00.000000Z may lack it)',
    )
    expect(rootsOf(await ward.manifestOf(report))).toEqual(await ward.rootsOfFullRead())
  })
})

it('a change that the server never told is found by compare', async () => {
  const ward = await Ward.make()
  await ward.backUp()
  ward.model.loses = ({ key }) => key === '5'
  ward.model.commit(vital('5', '1', 'lost'))
  const report = await ward.backUp()
  expect(report.tablesFolded).toBe(3)

  const found = await compareDatabase({
    repository: ward.repository(),
    source: ward.model.source(),
    snapshotId: report.snapshot,
    expectSameHistory: true,
    pool: new InProcessPool(ward.model.reading, ward.repository().store) as unknown as BuildPool,
    signal: new AbortController().signal,
    nowMs: Date.now,
  })
  expect(found.status).toBe('inconclusive')
  expect(found.tables.filter(({ outcome }) => outcome !== 'equal')).toMatchObject([
    { table: VITAL, changed: 1, missing: 0, extra: 0 },
  ])
})
