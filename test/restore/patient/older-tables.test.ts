/**
 * Tables whose changes are not captured are known as of snapshots only: at a moment in between, a plan, a look and an
 * export say so of them, and nothing is taken out of them for not being in the snapshot.
 */
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type PostgresServer, startPostgres } from '../../../scripts/support/postgres-server.ts'
import { planLines } from '../../../src/cli/plan-page.ts'
import { patientClosure } from '../../../src/restore/patient/closure.ts'
import { exportPatient } from '../../../src/restore/patient/export.ts'
import { withStateAt } from '../../../src/restore/patient/look.ts'
import { makePatientPlan } from '../../../src/restore/patient/make-plan.ts'
import { planHtml } from '../../../src/restore/patient/page/plan-page.ts'
import type { Policy } from '../../../src/restore/patient/plan.ts'
import type { ReadPlan } from '../../../src/restore/patient/plan-document.ts'
import { StoredRows } from '../../../src/restore/patient/stored-rows.ts'
import { captureDatabase } from '../../support/capture-by-hand.ts'
import { toLayout } from '../../support/layout.ts'
import { makeRepository, never, type TestRepository } from '../../support/repository.ts'
import { LAYOUT, onDatabase, SCHEMA } from './small-ward.ts'

const OLDER = ['public.alarm', 'public.ward_order']

describe('a moment between two snapshots', () => {
  let server: PostgresServer
  let made: TestRepository
  let url = ''
  let moment = ''

  beforeAll(async () => {
    server = await startPostgres({})
    made = await makeRepository()
    url = await server.createDatabase('icu')
    await onDatabase(url, SCHEMA)
    const tables = ['drug', 'patient', 'stay', 'note']
    await using captured = await captureDatabase({ made, url, layout: toLayout(LAYOUT), tables })
    await captured.snapshot()
    await onDatabase(
      url,
      `INSERT INTO note VALUES (9000, 1, 'later', 1, now()); INSERT INTO ward_order VALUES (9000, 1, 'd1', 'later');
       INSERT INTO alarm VALUES (1, 'later')`,
    )
    const [asked] = await onDatabase(url, 'SELECT pg_current_wal_insert_lsn()::text AS lsn')
    moment = asked!.rows[0].lsn
    await onDatabase(url, 'DELETE FROM note WHERE note_id IN (9000, 9)')
    await captured.caughtUp()
  }, 120_000)

  afterAll(async () => {
    await made?.[Symbol.asyncDispose]()
    await server?.[Symbol.asyncDispose]()
  })

  async function at<T>(work: Parameters<typeof withStateAt<T>>[2]): Promise<T> {
    await using repository = await made.open()
    const world = { temporaryDirectory: tmpdir(), signal: never() }
    return await withStateAt({ repository, sourceName: 'icu', at: moment }, world, work)
  }

  async function planned(policy: Policy): Promise<ReadPlan> {
    const { repository } = made
    const order = { repository, connection: { url }, requester: 'Wang Fang', signal: never(), nowMs: Date.now }
    const wish = { policy, selection: { categories: null, tables: null }, acceptLoss: false }
    const made_ = await at(({ stored }) =>
      makePatientPlan({ ...order, random: randomBytes }, { stored, patient: '2', asked: moment, wish }),
    )
    return made_.plan
  }

  it('is said of a plan to be that of the snapshot for some tables, and their newer rows stay', async () => {
    const plan = await planned('exact')
    const { document } = plan

    expect(document.tables.flatMap(({ name, olderBecause }) => (olderBecause ? [name] : []))).toEqual(OLDER)
    const orders = document.tables.find(({ name }) => name === 'public.ward_order')!
    expect(orders.groups).toMatchObject([
      { status: 'newer', action: 'none', cause: expect.stringContaining('snapshot') },
    ])
    const notes = document.tables.find(({ name }) => name === 'public.note')!
    expect(notes.groups).toMatchObject([{ status: 'missing', action: 'insert', rows: 2 }])
    const older = planLines(plan).filter((line) => line.startsWith('older'))
    expect(older.map((line) => line.split(/[ :]+/)[1])).toEqual(OLDER)
    expect(older.join()).toContain(document.moment.snapshotId)
    expect(planHtml(plan, { language: 'zh', showValues: false })).toContain(
      '只能恢复到此前最近一次快照: public.ward_order',
    )
    expect(planHtml(plan, { language: 'en', showValues: false })).toContain('not captured')
  })

  it('is told what the policy leaves as it is', async () => {
    await onDatabase(url, `UPDATE note SET body = 'other' WHERE note_id = 18`)
    const left = planLines(await planned('missing')).filter((line) => line.startsWith('left '))

    expect(left).toEqual([
      expect.stringMatching(/^left +1 rows that were changed since .*--policy changed/),
      expect.stringMatching(/^left +\d+ rows that were not there then .*--policy exact/),
    ])
  })

  it('is said of a look and of an export, with the tables of which nothing is known', async () => {
    const closure = await at(({ stored }) => patientClosure(stored, Buffer.from('2')))
    const { manifest } = await made.repository.readManifest(closure.manifest.snapshotId)
    const { keyring } = made.repository
    const withLate = new StoredRows(manifest, made.repository.chunkReader(), keyring.secrets, null, ['public.late'])
    const { leftOut } = await patientClosure(withLate, Buffer.from('2'))

    expect(closure.older.map(({ table }) => table)).toEqual(OLDER)
    expect(leftOut).toEqual([{ table: 'public.late', reason: expect.stringContaining('appeared after') }])
    const files = exportPatient(closure, { patient: 'P-X', asOf: { snapshot: 's', sourceTime: 't' } })
    const about = files.find(({ name }) => name === 'MOMENT.json')!
    expect(JSON.parse(about.bytes.toString())).toMatchObject({ asOf: { snapshot: 's' }, older: closure.older })
    expect(files.at(-1)!.bytes.toString()).toContain('  MOMENT.json\n')
  })
})
