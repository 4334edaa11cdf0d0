/**
 * Accidents, repair and undo on a real database, judged by plain SQL that knows nothing of chartkeep: copies of every
 * table as of then and as of before the repair stand beside the tables.
 */
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Random } from '../../../scripts/reference/random.ts'
import {
  availablePostgresVersions,
  type PostgresServer,
  startPostgres,
} from '../../../scripts/support/postgres-server.ts'
import { createSigner } from '../../../src/repository/signers.ts'
import { type AppliedPlan, type ApplyPlanRequest, applyPlan } from '../../../src/restore/patient/apply.ts'
import { approvePlan } from '../../../src/restore/patient/approval.ts'
import { establishOutcome, readChangeset } from '../../../src/restore/patient/changeset.ts'
import { patientClosure } from '../../../src/restore/patient/closure.ts'
import { type Policy, planPatient } from '../../../src/restore/patient/plan.ts'
import { planContent } from '../../../src/restore/patient/plan-content.ts'
import { type PlanContent, type ReadPlan, readPlan, writePlan } from '../../../src/restore/patient/plan-document.ts'
import { patientFacts } from '../../../src/restore/patient/row-status.ts'
import { StoredRows } from '../../../src/restore/patient/stored-rows.ts'
import { undoContent } from '../../../src/restore/patient/undo.ts'
import { openLiveRows, openSource } from '../../../src/source/open.ts'
import { settleOutcome } from '../../../src/source/postgres/outcome.ts'
import type { LiveRows } from '../../../src/source/row-contract.ts'
import { holdCommits, untilHeld } from '../../support/hanging-commit.ts'
import { toLayout } from '../../support/layout.ts'
import { makeRepository, never, type TestRepository } from '../../support/repository.ts'
import { startTcpProxy } from '../../support/tcp-proxy.ts'
import { LAYOUT, onDatabase, SCHEMA } from './small-ward.ts'

const newest = Math.max(...availablePostgresVersions())
const NOW_MS = Date.UTC(2026, 0, 3)
const TABLES = ['drug', 'patient', 'stay', 'note', 'ward_order', 'alarm']

describe(`a patient put back (PostgreSQL ${newest})`, () => {
  let server: PostgresServer
  let made: TestRepository
  let manifestId: string
  let approver: Awaited<ReturnType<typeof createSigner>>
  let count = 0

  beforeAll(async () => {
    server = await startPostgres({ version: newest })
    made = await makeRepository()
    const sealed = made.repository.sealed
    approver = await createSigner(sealed, {
      signerId: 'a1',
      name: 'Li Wei',
      role: 'approver',
      createdAt: new Date(NOW_MS).toISOString(),
    })
    made.repository.forgetSigners()
  }, 120_000)

  afterAll(async () => {
    await made?.[Symbol.asyncDispose]()
    await server?.[Symbol.asyncDispose]()
  })

  /** A database with its snapshot taken; every table is copied beside itself as `then_…`. */
  async function ward(extra = ''): Promise<string> {
    count += 1
    const url = await server.createDatabase(`ward_${count}`)
    await onDatabase(url, SCHEMA + extra)
    await using source = await openSource({ url })
    manifestId = await made.snapshot(source, toLayout({ ...LAYOUT, exclude: [] }), Date.UTC(2026, 0, 2) + count * 1000)
    await onDatabase(url, TABLES.map((table) => `CREATE TABLE then_${table} AS TABLE ${table}`).join(';'))
    return url
  }

  async function keepBefore(url: string): Promise<void> {
    await onDatabase(url, TABLES.map((table) => `CREATE TABLE before_${table} AS TABLE ${table}`).join(';'))
  }

  async function planned(
    url: string,
    content: (live: LiveRows) => Promise<PlanContent>,
    expiresMs = NOW_MS + 3_600_000,
  ): Promise<ReadPlan> {
    await using live = await openLiveRows({ url }, { signal: never(), lockTimeoutMs: 5_000 })
    const facts = {
      planId: `plan-${count}-${randomBytes(4).toString('hex')}`,
      asked: 'latest',
      target: live.identity,
      lookedAt: live.position,
      requester: 'Wang Fang',
      createdMs: NOW_MS,
      expiresMs,
      salt: randomBytes(16),
    }
    const written = await writePlan(made.repository, await content(live), facts)
    const read = await readPlan(made.repository, written.bytes)
    expect(written.plan).toEqual(read)
    return read
  }

  async function restorePlan(url: string, policy: Policy): Promise<ReadPlan> {
    const { manifest } = await made.repository.readManifest(manifestId)
    const stored = new StoredRows(manifest, made.repository.chunkReader(), made.repository.keyring.secrets)
    return await planned(url, async (live) => {
      const closure = await patientClosure(stored, Buffer.from('2'))
      const wish = { policy, selection: { categories: null, tables: null }, acceptLoss: false }
      return planContent(planPatient(closure, await patientFacts(live, closure, stored), wish))
    })
  }

  async function undoPlan(url: string, changesetId: string): Promise<ReadPlan> {
    const { repository } = made
    return await planned(url, async (live) =>
      undoContent(live, await readChangeset(repository, changesetId), await outcomeOf(url, changesetId)),
    )
  }

  async function outcomeOf(url: string, changesetId: string) {
    const { repository } = made
    return await establishOutcome(repository, await readChangeset(repository, changesetId), { url }, NOW_MS)
  }

  async function approve(plan: ReadPlan): Promise<void> {
    const signer = { signerId: approver.signer.signerId, key: approver.key }
    await approvePlan({ repository: made.repository, plan, signer, nowMs: NOW_MS })
  }

  async function apply(url: string, plan: ReadPlan, more: Partial<ApplyPlanRequest> = {}): Promise<AppliedPlan> {
    return await applyPlan({
      repository: made.repository,
      connection: { url },
      plan,
      executor: 'Zhao Min',
      emergencyReason: null,
      onePerson: false,
      signal: never(),
      nowMs: () => NOW_MS,
      random: randomBytes,
      ...more,
    })
  }

  /** Rows in `a` and not in `b`, or the other way round, as text. */
  async function differences(url: string, a: string, b: string): Promise<number> {
    const [result] = await onDatabase(
      url,
      `SELECT count(*) AS n FROM ((SELECT t::text FROM (${a}) t EXCEPT ALL SELECT t::text FROM (${b}) t)
        UNION ALL (SELECT t::text FROM (${b}) t EXCEPT ALL SELECT t::text FROM (${a}) t)) d`,
    )
    return Number(result?.rows[0].n)
  }

  const isPatients = (table: string, stays: string) =>
    table === 'patient' || table === 'stay'
      ? 'patient_id = 2'
      : `stay_id IN (SELECT stay_id FROM ${stays} WHERE patient_id = 2)`

  it('one deleted shift of notes and one patient of overwritten orders: put back, proved, undone, put back again', async () => {
    const url = await ward()
    await onDatabase(
      url,
      "DELETE FROM note WHERE stay_id = 10; UPDATE ward_order SET drug = 'd9', barcode = 'bad' || order_id WHERE stay_id = 1",
    )
    await keepBefore(url)
    const plan = await restorePlan(url, 'changed')
    await approve(plan)
    const applied = await apply(url, plan)
    expect(applied).toMatchObject({
      inserted: 10,
      updated: 10,
      deleted: 0,
      authorisation: { kind: 'approved', by: 'Li Wei' },
    })
    for (const table of TABLES) expect(await differences(url, `TABLE ${table}`, `TABLE then_${table}`)).toBe(0)

    const undo = await undoPlan(url, applied.changesetId)
    await approve(undo)
    expect(await apply(url, undo)).toMatchObject({ inserted: 0, updated: 10, deleted: 10 })
    for (const table of TABLES) expect(await differences(url, `TABLE ${table}`, `TABLE before_${table}`)).toBe(0)

    const again = await restorePlan(url, 'changed')
    await approve(again)
    await apply(url, again)
    for (const table of TABLES) expect(await differences(url, `TABLE ${table}`, `TABLE then_${table}`)).toBe(0)
  }, 60_000)

  it.each([
    1, 2, 3, 4, 5, 6,
  ])('random accidents, seed %i: the patient is as then under the policy, everybody else as before', async (seed) => {
    const url = await ward()
    const random = new Random(seed, 'accidents')
    const policy = (['missing', 'changed', 'exact'] as const)[seed % 3]!
    await onDatabase(url, accident(random))
    await keepBefore(url)
    const plan = await restorePlan(url, policy)
    await approve(plan)
    const applied = await apply(url, plan)

    for (const table of TABLES.filter((name) => name !== 'drug')) {
      const own = `${isPatients(table, 'then_stay')} OR ${isPatients(table, 'before_stay')}`
      const others = (from: string) => `SELECT * FROM ${from} WHERE (${own}) IS NOT TRUE`
      expect({ table, others: await differences(url, others(table), others(`before_${table}`)) }).toEqual({
        table,
        others: 0,
      })
      if (policy === 'exact') {
        const all = (from: string) => `SELECT * FROM ${from} WHERE (${own})`
        // A table without a key gives nothing up: which of equal rows is meant cannot be said.
        const kept = plan.tables
          .find(({ name }) => name === `public.${table}`)!
          .rows.filter(({ cause }) => cause?.startsWith('a table without a key')).length
        expect({ table, own: await differences(url, all(table), all(`then_${table}`)) }).toEqual({ table, own: kept })
      } else {
        const lost = `SELECT * FROM then_${table} t WHERE ${isPatients(table, 'then_stay')} AND NOT EXISTS (SELECT FROM ${table} l WHERE l::text = t::text)`
        const [result] = await onDatabase(url, `SELECT count(*) AS n FROM (${lost}) x`)
        // Under `missing`, rows that were changed stay as they are: those differ, and no other.
        const changed = policy === 'missing' ? (statuses(plan, `public.${table}`).changed ?? 0) : 0
        expect({ table, lost: Number(result?.rows[0].n) }).toEqual({ table, lost: changed })
      }
    }
    const undo = await undoPlan(url, applied.changesetId)
    await approve(undo)
    await apply(url, undo)
    for (const table of TABLES) expect(await differences(url, `TABLE ${table}`, `TABLE before_${table}`)).toBe(0)
  }, 60_000)

  describe('is refused, and nothing is written,', () => {
    async function refused(url: string, attempt: Promise<unknown>, expected: object): Promise<void> {
      await expect(attempt).rejects.toMatchObject(expected)
      for (const table of TABLES) expect(await differences(url, `TABLE ${table}`, `TABLE before_${table}`)).toBe(0)
    }

    it('without approval, by the requester as approver, by the approver as executor, and after its time', async () => {
      const url = await ward()
      await onDatabase(url, 'DELETE FROM note WHERE stay_id = 10')
      await keepBefore(url)
      const plan = await restorePlan(url, 'missing')
      await refused(url, apply(url, plan), { code: 'plan-refused' })
      await approve(plan)
      await refused(url, apply(url, plan, { executor: ' li  WEI' }), { code: 'plan-refused' })
      await refused(url, apply(url, plan, { nowMs: () => NOW_MS + 3_600_001 }), { code: 'plan-refused' })
      await createSigner(made.repository.sealed, {
        signerId: 'a2',
        name: 'WANG fang',
        role: 'approver',
        createdAt: '',
      }).then(async ({ signer, key }) => {
        made.repository.forgetSigners()
        const asSelf = approvePlan({
          repository: made.repository,
          plan,
          signer: { signerId: signer.signerId, key },
          nowMs: NOW_MS,
        })
        await expect(asSelf).rejects.toMatchObject({ code: 'plan-refused' })
      })
      expect(await apply(url, plan)).toMatchObject({ inserted: 10 })
    }, 60_000)

    it('by the approval of another plan', async () => {
      const url = await ward()
      await onDatabase(url, 'DELETE FROM note WHERE stay_id = 10')
      await keepBefore(url)
      const first = await restorePlan(url, 'missing')
      await approve(first)
      await refused(url, apply(url, await restorePlan(url, 'exact')), { code: 'plan-refused' })
    }, 60_000)

    it('when a row moved since the preview, or its place was taken', async () => {
      const url = await ward()
      await onDatabase(url, "UPDATE note SET body = 'wrong' WHERE note_id = 18; DELETE FROM note WHERE note_id = 45")
      const plan = await restorePlan(url, 'changed')
      await approve(plan)
      await onDatabase(url, "UPDATE note SET body = 'by a nurse' WHERE note_id = 18")
      await keepBefore(url)
      await refused(url, apply(url, plan), { code: 'plan-moved' })
      await onDatabase(
        url,
        `UPDATE note SET body = 'wrong' WHERE note_id = 18; INSERT INTO note VALUES (45, 2, 'somebody else', 0, now());
        ${TABLES.map((table) => `DROP TABLE before_${table}`).join(';')}`,
      )
      await keepBefore(url)
      await refused(url, apply(url, plan), { code: 'plan-moved' })
    }, 60_000)

    it('when somebody holds a row: within a second, not for as long as that lasts', async () => {
      const url = await ward()
      await onDatabase(url, "UPDATE note SET body = 'wrong' WHERE note_id = 18")
      await keepBefore(url)
      const plan = await restorePlan(url, 'changed')
      await approve(plan)
      const nurse = new pg.Client(url)
      await nurse.connect()
      try {
        await nurse.query('BEGIN; SELECT FROM note WHERE note_id = 18 FOR UPDATE')
        await refused(url, apply(url, plan, { lockTimeoutMs: 300 }), { code: 'plan-moved' })
      } finally {
        await nurse.end()
      }
      expect(await apply(url, plan)).toMatchObject({ updated: 1 })
    }, 60_000)

    it('into another database of the same names (F19)', async () => {
      const url = await ward()
      await onDatabase(url, 'DELETE FROM note WHERE stay_id = 10')
      const plan = await restorePlan(url, 'missing')
      await approve(plan)
      const other = await ward('; DELETE FROM note WHERE stay_id = 10')
      await keepBefore(other)
      await refused(other, apply(other, plan), { code: 'plan-refused' })
    }, 60_000)

    it('when a trigger raises, and its words, which quote rows, are not told (F42)', async () => {
      const url = await ward(
        `; CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'planted %', NEW.body; END $$;`,
      )
      await onDatabase(
        url,
        'DELETE FROM note WHERE stay_id = 10; CREATE TRIGGER no BEFORE INSERT ON note FOR EACH ROW EXECUTE FUNCTION no()',
      )
      await keepBefore(url)
      const plan = await restorePlan(url, 'missing')
      await approve(plan)
      const error = await apply(url, plan).catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({ code: 'target-failed' })
      expect(JSON.stringify(error) + String(error)).not.toMatch(/planted|line/)
      await refused(url, apply(url, plan), { code: 'target-failed' })
    }, 60_000)

    it('when a trigger makes something else of a row (P19), unless the plan may; a deferred one too', async () => {
      const url =
        await ward(`; CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.score := 99; RETURN NEW; END $$;
        CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE ward_order SET barcode = 'late' || order_id WHERE order_id = NEW.order_id AND barcode NOT LIKE 'late%'; RETURN NULL; END $$`)
      await onDatabase(
        url,
        'DELETE FROM note WHERE stay_id = 10; CREATE TRIGGER stamp BEFORE INSERT ON note FOR EACH ROW EXECUTE FUNCTION stamp()',
      )
      await keepBefore(url)
      const plan = await restorePlan(url, 'missing')
      await approve(plan)
      await refused(url, apply(url, plan), { code: 'restore-unproved' })
      const applied = await apply(url, plan, { triggerColumns: new Set(['public.note.score']) })
      expect(applied.triggered).toEqual({ 'public.note.score': 10 })
      const undo = await undoPlan(url, applied.changesetId)
      await approve(undo)
      expect(await apply(url, undo)).toMatchObject({ deleted: 10 })

      await onDatabase(
        url,
        `DELETE FROM ward_order WHERE order_id = 27;
        CREATE CONSTRAINT TRIGGER late AFTER INSERT ON ward_order DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION late();
        ${TABLES.map((table) => `DROP TABLE before_${table}`).join(';')}`,
      )
      await keepBefore(url)
      const deferred = await restorePlan(url, 'missing')
      await approve(deferred)
      await refused(url, apply(url, deferred), { code: 'restore-unproved' })
    }, 60_000)
  })

  it('what triggers write in other tables, and beside the plan in its own, is counted (P19)', async () => {
    const url = await ward(`; CREATE TABLE trail (id int GENERATED ALWAYS AS IDENTITY, what text);
      CREATE FUNCTION trail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO trail (what) VALUES (TG_OP), (TG_OP);
        UPDATE note SET score = score + 1 WHERE note_id = 1; RETURN NULL; END $$;
      CREATE TRIGGER trail AFTER INSERT ON ward_order FOR EACH ROW EXECUTE FUNCTION trail()`)
    await onDatabase(url, 'DELETE FROM ward_order WHERE stay_id = 10; DELETE FROM note WHERE stay_id = 10')
    const plan = await restorePlan(url, 'missing')
    await approve(plan)
    const { sideEffects, changesetId } = await apply(url, plan)
    expect(sideEffects).toEqual({
      'public.trail': { inserted: 20, updated: 0, deleted: 0 },
      'public.note': { inserted: 0, updated: 10, deleted: 0 },
    })
    expect((await outcomeOf(url, changesetId)).sideEffects).toEqual(sideEffects)

    await onDatabase(url, `DELETE FROM note WHERE stay_id = 10; ALTER DATABASE ward_${count} SET track_counts = off`)
    const uncounted = await restorePlan(url, 'missing')
    await approve(uncounted)
    expect(await apply(url, uncounted)).toMatchObject({ inserted: 10, sideEffects: null })
  }, 60_000)

  it('a plan is carried out once: not again after its undo', async () => {
    const url = await ward()
    await onDatabase(url, 'DELETE FROM note WHERE stay_id = 10')
    const plan = await restorePlan(url, 'missing')
    await approve(plan)
    const { changesetId } = await apply(url, plan)
    const undo = await undoPlan(url, changesetId)
    await approve(undo)
    await apply(url, undo)
    await expect(apply(url, plan)).rejects.toMatchObject({ code: 'plan-refused' })
    await expect(apply(url, plan, { emergencyReason: ' ' })).rejects.toMatchObject({ code: 'plan-refused' })
  }, 60_000)

  it('what was committed by an agent that died behind its COMMIT can be undone: the database says so', async () => {
    const url = await ward()
    await onDatabase(url, 'DELETE FROM note WHERE stay_id = 10')
    await keepBefore(url)
    const plan = await restorePlan(url, 'missing')
    await approve(plan)
    const { changesetId } = await apply(url, plan)
    await made.repository.store.delete(`outcomes/${changesetId}`)
    const undo = await undoPlan(url, changesetId)
    await approve(undo)
    await apply(url, undo)
    expect(await differences(url, 'TABLE note', 'TABLE before_note')).toBe(0)
  }, 60_000)

  it('children that nobody named are not taken along by a cascade', async () => {
    const url = await ward()
    await onDatabase(
      url,
      `INSERT INTO stay VALUES (900, 2, 'B'); CREATE TABLE since (id int PRIMARY KEY, stay_id bigint REFERENCES stay ON DELETE CASCADE);
       INSERT INTO since VALUES (1, 900)`,
    )
    const plan = await restorePlan(url, 'exact')
    await approve(plan)
    await expect(apply(url, plan)).rejects.toMatchObject({ code: 'plan-moved' })
    const [left] = await onDatabase(url, 'SELECT count(*) AS n FROM since')
    expect(left?.rows).toEqual([{ n: '1' }])
    await onDatabase(url, 'DROP TABLE since')
    expect(await apply(url, plan)).toMatchObject({ deleted: 1 })
  }, 60_000)

  it('nobody is made of a key that nobody had: it is refused, not taken for somebody who is all new', async () => {
    const url = await ward()
    const { manifest } = await made.repository.readManifest(manifestId)
    const stored = new StoredRows(manifest, made.repository.chunkReader(), made.repository.keyring.secrets)
    const spelt = planned(url, async (live) => {
      const closure = await patientClosure(stored, Buffer.from('02'))
      const wish = { policy: 'exact', selection: { categories: null, tables: null }, acceptLoss: false } as const
      return planContent(planPatient(closure, await patientFacts(live, closure, stored), wish))
    })
    await expect(spelt).rejects.toMatchObject({ code: 'bad-usage' })
  }, 60_000)

  it('a trigger that turns rows aside is noticed', async () => {
    const url = await ward(`; CREATE FUNCTION aside() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$`)
    await onDatabase(
      url,
      'DELETE FROM note WHERE stay_id = 10; CREATE TRIGGER aside BEFORE INSERT ON note FOR EACH ROW EXECUTE FUNCTION aside()',
    )
    const plan = await restorePlan(url, 'missing')
    await approve(plan)
    await expect(apply(url, plan)).rejects.toMatchObject({ code: 'restore-unproved' })
  }, 60_000)

  it('what undoes it is durable before a row is written: without it, nothing is', async () => {
    const url = await ward()
    await onDatabase(url, 'DELETE FROM note WHERE stay_id = 10')
    await keepBefore(url)
    const plan = await restorePlan(url, 'missing')
    await approve(plan)
    const { sealed } = made.repository
    const write = sealed.write.bind(sealed)
    sealed.write = async (name, type, plain) => {
      if (name.startsWith('changesets/')) throw new Error('no space')
      await write(name, type, plain)
    }
    try {
      await expect(apply(url, plan)).rejects.toThrow('no space')
    } finally {
      sealed.write = write
    }
    expect(await differences(url, 'TABLE note', 'TABLE before_note')).toBe(0)
  }, 60_000)

  it('undo leaves what somebody has written since, and says so', async () => {
    const url = await ward()
    await onDatabase(url, 'DELETE FROM note WHERE stay_id = 10')
    const plan = await restorePlan(url, 'missing')
    await approve(plan)
    const { changesetId } = await apply(url, plan)
    await onDatabase(
      url,
      "UPDATE note SET body = 'since' WHERE note_id = (SELECT min(note_id) FROM note WHERE stay_id = 10)",
    )
    const undo = await undoPlan(url, changesetId)
    expect(statuses(undo, 'public.note')).toEqual({ newer: 9, conflicting: 1 })
    await approve(undo)
    expect(await apply(url, undo)).toMatchObject({ deleted: 9 })
    const [left] = await onDatabase(url, 'SELECT body FROM note WHERE stay_id = 10')
    expect(left?.rows).toEqual([{ body: 'since' }])
  }, 60_000)

  it('a connection lost while COMMIT waits for a standby: the server is asked, and it was committed (P18)', async () => {
    const url = await ward()
    await onDatabase(url, 'DELETE FROM note WHERE stay_id = 10')
    const plan = await restorePlan(url, 'missing')
    await approve(plan)
    const address = new URL(url)
    const proxy = await startTcpProxy({ port: Number(address.port) })
    address.host = `127.0.0.1:${proxy.port}`
    await onDatabase(url, `ALTER DATABASE ${new URL(url).pathname.slice(1)} SET synchronous_commit = on`)
    try {
      await using _held = await holdCommits(url)
      const applying = apply(url, plan, { connection: { url: address.href } })
      await untilHeld(url)
      proxy.resetAll()
      expect(await applying).toMatchObject({ inserted: 10 })
    } finally {
      await proxy.close()
    }
    expect(await differences(url, 'TABLE note', 'TABLE then_note')).toBe(0)
  }, 60_000)

  it('a transaction of ours that is still open is ended, and found to be rolled back (P18)', async () => {
    const url = await ward()
    await using live = await openLiveRows({ url }, { signal: never(), lockTimeoutMs: 1_000 })
    const lost = new pg.Client(url)
    lost.on('error', () => {})
    await lost.connect()
    const begun = await lost.query('BEGIN; SELECT pg_current_xact_id() AS id; DELETE FROM note')
    const { id } = (begun as unknown as pg.QueryResult[])[1]!.rows[0]
    expect(await settleOutcome({ url }, { id, identity: live.identity }, 50)).toBe('rolled back')
    const other = { ...live.identity, systemId: '1' }
    expect(await settleOutcome({ url }, { id, identity: other }, 1)).toBe('unknown')
    expect(await settleOutcome({ url }, { id: '99999999', identity: live.identity }, 1)).toBe('unknown')
  }, 60_000)
})

function statuses(plan: ReadPlan, table: string): Record<string, number> {
  const found: Record<string, number> = {}
  for (const { status } of plan.tables.find(({ name }) => name === table)?.rows ?? []) {
    found[status] = (found[status] ?? 0) + 1
  }
  return found
}

/** A handful of statements that nobody meant, over several patients; drugs stay, keys stay unique. */
function accident(random: Random): string {
  const stay = () => random.within(1, 27)
  const kinds = [
    () => `DELETE FROM note WHERE stay_id = ${stay()}`,
    () => `DELETE FROM note WHERE note_id % ${random.within(5, 40)} = 0`,
    () => `UPDATE note SET body = NULL, score = score + 1 WHERE stay_id = ${stay()}`,
    () => `UPDATE ward_order SET drug = 'd${random.within(1, 9)}' WHERE order_id % ${random.within(3, 30)} = 0`,
    () => `DELETE FROM ward_order WHERE stay_id = ${stay()}`,
    () =>
      `INSERT INTO note SELECT 10000 + n + ${random.within(0, 900) * 20}, s.stay_id, 'new', n, now() FROM generate_series(1, 5) n, stay s WHERE s.stay_id = ${stay()} ON CONFLICT DO NOTHING`,
    () => `DELETE FROM alarm WHERE ctid IN (SELECT ctid FROM alarm WHERE stay_id = ${stay()} LIMIT 2)`,
    () => `INSERT INTO alarm SELECT ${stay()}, 'same line' FROM generate_series(1, 2)`,
    () => `UPDATE stay SET bed = 'X' WHERE stay_id = ${stay()}`,
    () => `UPDATE patient SET mrn = 'N' || patient_id WHERE patient_id = ${random.within(1, 9)}`,
    () => {
      const gone = stay()
      return `DELETE FROM note WHERE stay_id = ${gone}; DELETE FROM ward_order WHERE stay_id = ${gone}; DELETE FROM alarm WHERE stay_id = ${gone}; DELETE FROM stay WHERE stay_id = ${gone}`
    },
  ]
  // Something happens to patient 2 for certain.
  const certain = 'DELETE FROM note WHERE stay_id = 19 AND note_id % 2 = 0'
  return [certain, ...Array.from({ length: 8 }, () => kinds[random.within(0, kinds.length - 1)]!())].join(';\n')
}
