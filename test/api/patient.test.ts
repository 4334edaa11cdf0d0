/**
 * One patient over the API, on a real database: found, planned, approved by another person's signature, put back and
 * undone; then everything that must not work. Judged by plain SQL.
 */
import { createHash, type KeyObject, sign } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type PostgresServer, startPostgres } from '../../scripts/support/postgres-server.ts'
import { createSigner, revokeSigner } from '../../src/repository/signers.ts'
import { openSource } from '../../src/source/open.ts'
import { LAYOUT, onDatabase, SCHEMA } from '../restore/patient/small-ward.ts'
import { toLayout } from '../support/layout.ts'
import { makeRepository, type TestRepository } from '../support/repository.ts'
import { type Answer, makeApi, START_MS, type TestApi } from './support.ts'

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

const PURPOSE = 'request 117'
const SIGNER = '20260101T000000Z-0000000a'
const REQUESTERS_OWN = '20260101T000000Z-0000000b'

let server: PostgresServer
let made: TestRepository
let url: string
let api: TestApi
let operator: string
let approver: string
let key: KeyObject
let requestersKey: KeyObject

beforeAll(async () => {
  server = await startPostgres()
  made = await makeRepository()
  url = await server.createDatabase('ward')
  await onDatabase(url, SCHEMA)
  await using source = await openSource({ url })
  await made.snapshot(source, toLayout({ ...LAYOUT, exclude: [] }), START_MS - 60_000)
  const createdAt = new Date(START_MS).toISOString()
  const person = async (signerId: string, name: string) =>
    (await createSigner(made.repository.sealed, { signerId, name, role: 'approver', createdAt })).key
  key = await person(SIGNER, 'Dr. Chen')
  requestersKey = await person(REQUESTERS_OWN, 'ＷＡＮＧ  fang')
  made.repository.forgetSigners()
  const sources = { icu: { url, ...LAYOUT, writer: { url } } }
  api = await makeApi({ repository: made.repository, sources, limits: { burst: 10_000 } })
  operator = await api.token('operator', 'Wang Fang')
  approver = await api.token('approver', 'dr chen')
})

afterAll(async () => {
  await made?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
})

async function notes(): Promise<unknown> {
  const [result] = await onDatabase(url, 'SELECT n::text AS line FROM note n ORDER BY 1')
  return result?.rows
}

async function plan(body: object = {}): Promise<Answer> {
  const wish = { patient: '2', policy: 'changed', purpose: PURPOSE, ...body }
  return await api.ask('/v1/sources/icu/plans', { token: operator, body: wish })
}

/** As `openssl pkeyutl -sign -rawin` does it, over the bytes that the server gave. */
async function approve(planId: string, by: { token: string; signer: string; key: KeyObject }, more: object = {}) {
  const { text } = await api.ask(`/v1/plans/${planId}/approval-message?signer=${by.signer}`, { token: by.token })
  const { planSha256, approvedAt } = JSON.parse(text.split('\n')[1] ?? '')
  const signature = sign(null, Buffer.from(text), by.key).toString('base64')
  const body = { sha256: planSha256, signerId: by.signer, approvedAt, signature, ...more }
  return await api.ask(`/v1/plans/${planId}/approvals`, { token: by.token, body })
}

const chen = () => ({ token: approver, signer: SIGNER, key })

async function apply(planId: string, sha256: unknown, more: object = {}, token = operator): Promise<Answer> {
  return await api.ask(`/v1/plans/${planId}/apply`, { token, body: { sha256, ...more } })
}

/** Put back whatever a test has left. */
async function damage(): Promise<void> {
  await onDatabase(url, "DELETE FROM note WHERE note_id = 27; UPDATE stay SET bed = 'wrong' WHERE stay_id = 10")
}

describe('a patient over the API', () => {
  it('is found and counted for a purpose, which is in the audit by pseudonym', async () => {
    const found = await api.ask('/v1/sources/icu/patients/find', {
      token: operator,
      body: { text: 'M2', purpose: PURPOSE },
    })
    const shown = await api.ask('/v1/sources/icu/patients/show', {
      token: operator,
      body: { patient: '2', purpose: PURPOSE },
    })

    expect(found.json).toEqual({ labelColumns: ['mrn'], patients: [{ key: '2', label: ['M2'] }], more: false })
    expect(shown.json).toMatchObject({ patient: expect.stringMatching(/^P-/), leftOut: [] })
    const audit = await made.repository.audit.read()
    expect(audit.slice(-2)).toMatchObject([
      { action: 'patient.find', detail: PURPOSE, actor: expect.stringContaining('Wang Fang (token ') },
      { action: 'patient.show', detail: PURPOSE, subject: shown.json.patient },
    ])
  })

  it.each([{}, { purpose: '' }, { purpose: '  \t  ' }])('is not looked at without a purpose: %j', async (more) => {
    const before = (await made.repository.audit.read()).length
    const answer = await api.ask('/v1/sources/icu/patients/show', { token: operator, body: { patient: '2', ...more } })

    expect(answer.status).toBe(400)
    expect((await made.repository.audit.read()).length).toBe(before)
  })

  it('is planned, previewed masked, approved by a signature, put back, and undone', async () => {
    const before = await notes()
    await damage()
    const planned = await plan()
    expect([planned.status, planned.json.standing]).toEqual([201, { state: 'open', approvals: [], changeset: null }])
    const id = String(planned.json.planId)
    const { json: preview } = await api.ask(`/v1/plans/${id}/preview`, { token: approver, body: { purpose: PURPOSE } })
    expect(JSON.stringify(preview)).toContain('"w****"')
    expect(JSON.stringify(preview)).not.toContain('wrong')

    const document = await api.ask(`/v1/plans/${id}/document`, { token: approver })
    expect(createHash('sha256').update(document.text).digest('hex')).toBe(planned.json.sha256)
    const approved = await approve(id, chen())
    expect([approved.status, approved.json.standing]).toMatchObject([201, { state: 'approved' }])
    const applied = await apply(id, planned.json.sha256)

    expect(applied.json).toMatchObject({
      inserted: 1,
      updated: 1,
      deleted: 0,
      authorisation: { kind: 'approved', by: 'Dr. Chen' },
    })
    expect(await notes()).toEqual(before)

    const undo = await api.ask(`/v1/changesets/${applied.json.changesetId}/undo`, {
      token: operator,
      body: { purpose: PURPOSE },
    })
    await approve(String(undo.json.planId), chen())
    expect((await apply(String(undo.json.planId), undo.json.sha256)).json).toMatchObject({ updated: 1, deleted: 1 })
    expect(await notes()).not.toEqual(before)
  })
})

describe('two patients merged', () => {
  it('are taken apart by a plan that names both, in the audit, too', async () => {
    const [before] = await onDatabase(url, 'SELECT stay_id, patient_id FROM stay ORDER BY 1')
    await onDatabase(url, 'UPDATE stay SET patient_id = 3 WHERE patient_id = 2')
    const body = { patients: ['2', '3'], purpose: PURPOSE }
    const planned = await api.ask('/v1/sources/icu/unmerge-plans', { token: operator, body })
    const { patient, otherPatient, planId, sha256, tables } = planned.json as Record<string, string>
    expect([planned.status, planned.json.kind]).toEqual([201, { kind: 'unmerge', policy: 'missing' }])
    expect(tables).toContainEqual(
      expect.objectContaining({ name: 'public.stay', moved: 3, update: 3, goesTo: { [patient!]: 3 } }),
    )
    const audit = await made.repository.audit.read()
    expect(audit.slice(-2).map(({ action, subject }) => [action, subject])).toEqual([
      ['patient.plan-unmerge', otherPatient],
      ['patient.plan-unmerge', patient],
    ])
    const { json: preview } = await api.ask(`/v1/plans/${planId}/preview`, {
      token: approver,
      body: { purpose: PURPOSE, showValues: true },
    })
    expect(preview.rows).toContainEqual({
      table: 'public.stay',
      status: 'moved',
      action: 'update',
      cause: null,
      goesTo: patient,
      columns: [{ name: 'patient_id', past: '2', present: '3' }],
    })
    await approve(planId!, chen())
    expect((await apply(planId!, sha256)).json).toMatchObject({ updated: 3, patient, otherPatient })
    const [after] = await onDatabase(url, 'SELECT stay_id, patient_id FROM stay ORDER BY 1')
    expect(after!.rows).toEqual(before!.rows)

    const again = await api.ask('/v1/sources/icu/unmerge-plans', { token: operator, body })
    expect([again.status, again.json.code]).toEqual([403, 'plan-refused'])
  })
})

interface Planned extends Readonly<Record<'insert' | 'update' | 'missing' | 'changed', number>> {
  readonly name: string
}

describe('a selection', () => {
  /** Table, and how many rows of it are written and how many differ. */
  const rowsOf = ({ json }: Answer) =>
    (json.tables as Planned[]).flatMap(({ name, insert, update, missing, changed }) =>
      missing + changed === 0 ? [] : [`${name}: ${insert + update} of ${missing + changed}`],
    )

  it('by table, by category and by row takes what it names, and says what there is else', async () => {
    await damage()
    const byTable = await plan({ tables: ['public.stay'] })
    const [{ category }] = byTable.json.tables as [{ category: string }]
    const byCategory = await plan({ categories: [category] })
    const byRow = await plan({ rows: [{ table: 'public.note', key: ['27'] }] })

    expect(rowsOf(byTable)).toEqual(['public.note: 0 of 1', 'public.stay: 1 of 1'])
    expect(rowsOf(byCategory)).toEqual(['public.note: 1 of 1', 'public.stay: 1 of 1'])
    expect(rowsOf(byRow)).toEqual(['public.note: 1 of 1', 'public.stay: 0 of 1'])
  })

  it.each([
    [{ rows: [{ table: 'public.note', key: ['27'] }], tables: ['public.stay'] }, 'one by one'],
    [{ rows: [{ table: 'public.note', key: ['28'] }] }, "1 of 1 rows of public.note are not this patient's"],
    [{ rows: [{ table: 'public.nothing', key: ['1'] }] }, 'no table public.nothing'],
    [{ tables: ['public.nothing'] }, 'no table public.nothing'],
    [{ categories: ['nothing'] }, 'no category nothing'],
    [{ rows: [] }, ''],
  ])('%j is refused', async (selection, why) => {
    const answer = await plan(selection)
    expect([answer.status, answer.text]).toEqual([400, expect.stringContaining(why)])
  })
})

describe('a plan', () => {
  it('is not applied unapproved, nor by another digest, nor twice', async () => {
    await damage()
    const { json } = await plan()
    const id = String(json.planId)
    expect(await apply(id, json.sha256)).toMatchObject({ status: 403, json: { code: 'plan-refused' } })
    await approve(id, chen())
    expect(await apply(id, 'f'.repeat(64))).toMatchObject({ status: 409, json: { code: 'plan-moved' } })
    expect((await apply(id, json.sha256)).status).toBe(200)
    expect(await apply(id, json.sha256)).toMatchObject({ status: 403 })
  })

  it('replayed under its key gives the same answer, and writes once', async () => {
    await damage()
    const { json } = await plan()
    const id = String(json.planId)
    await approve(id, chen())
    const ask = () =>
      api.ask(`/v1/plans/${id}/apply`, { token: operator, body: { sha256: json.sha256 }, key: 'apply-1' })
    const first = await ask()
    const second = await ask()

    expect([first.status, second.status, second.text]).toEqual([200, 200, first.text])
  })

  it('is not approved by who asked for it, by any spelling and whatever token', async () => {
    const { json } = await plan()
    const asApprover = await api.token('approver', 'wang-fang')
    const own = await approve(String(json.planId), { token: asApprover, signer: REQUESTERS_OWN, key: requestersKey })

    expect(own).toMatchObject({ status: 403, json: { code: 'plan-refused' } })
  })

  it('is not applied by its approver', async () => {
    await damage()
    const { json } = await plan()
    const id = String(json.planId)
    await approve(id, chen())
    const chensOwn = await api.token('operator', 'DR CHEN')

    expect(await apply(id, json.sha256, {}, chensOwn)).toMatchObject({ status: 403, json: { code: 'plan-refused' } })
  })

  const wrong: [string, { token?: string; [field: string]: string | undefined }, number][] = [
    ["another person's token", { token: 'other' }, 409],
    ['a signature over something else', { signature: `${'A'.repeat(86)}==` }, 409],
    ['another digest', { sha256: 'f'.repeat(64) }, 409],
    ['a time long ago', { approvedAt: '2026-01-01T00:00:00.000Z' }, 400],
  ]
  it.each(wrong)('is not approved by %s', async (_what, { token, ...more }, status) => {
    const { json } = await plan()
    const by = token ? { ...chen(), token: await api.token('approver', 'Li Na') } : chen()

    expect((await approve(String(json.planId), by, more)).status).toBe(status)
    const { standing } = (await api.ask(`/v1/plans/${json.planId}`, { token: operator })).json
    expect(standing).toMatchObject({ state: 'open' })
  })

  it('goes ahead in an emergency on a reason, which is in the audit', async () => {
    await damage()
    const { json } = await plan()
    const applied = await apply(String(json.planId), json.sha256, { emergencyReason: 'bed 3, no approver reached' })

    expect(applied.json.authorisation).toEqual({ kind: 'emergency', reason: 'bed 3, no approver reached' })
    expect((await made.repository.audit.read()).at(-1)?.detail).toContain('bed 3, no approver reached')
  })

  it('has run out after an hour', async () => {
    const { json } = await plan()
    const id = String(json.planId)
    api.clock.nowMs += 3_600_001
    expect(await apply(id, json.sha256, { emergencyReason: 'now' })).toMatchObject({ status: 403 })
    expect((await api.ask(`/v1/plans/${id}`, { token: operator })).json.standing).toMatchObject({ state: 'expired' })
  })

  it('is not approved by a key that was revoked while the service runs, and no longer by what it approved before', async () => {
    await damage()
    const { json } = await plan()
    const before = await plan()
    const approved = String(before.json.planId)
    expect((await approve(approved, chen())).json.standing).toMatchObject({ state: 'approved' })
    await revokeSigner(made.repository.sealed, {
      signerId: SIGNER,
      from: new Date(api.clock.nowMs).toISOString(),
      ledgerSize: 1,
      reason: 'lost',
      revokedAt: new Date(api.clock.nowMs).toISOString(),
    })

    expect((await approve(String(json.planId), chen())).status).toBe(403)
    const { standing } = (await api.ask(`/v1/plans/${approved}`, { token: operator })).json
    expect(standing).toMatchObject({ state: 'open', approvals: [{ signerId: SIGNER }] })
    expect(await apply(approved, before.json.sha256)).toMatchObject({ status: 403, json: { code: 'plan-refused' } })
  })
})
