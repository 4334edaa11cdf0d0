/**
 * A repair beside other work: another restore of the same patient, a ward that waits for us as we for it, a place taken
 * since; and rows that are put back only in a certain order, or as many as there were.
 */
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type PostgresServer, startPostgres } from '../../../scripts/support/postgres-server.ts'
import type { Repository } from '../../../src/repository/repository.ts'
import { type AppliedPlan, type ApplyPlanRequest, applyPlan } from '../../../src/restore/patient/apply.ts'
import { withStateAt } from '../../../src/restore/patient/look.ts'
import { makePatientPlan, makeUndoPlan, type PlanOrder } from '../../../src/restore/patient/make-plan.ts'
import type { Policy } from '../../../src/restore/patient/plan.ts'
import type { ReadPlan } from '../../../src/restore/patient/plan-document.ts'
import { openSource } from '../../../src/source/open.ts'
import { toLayout } from '../../support/layout.ts'
import { makeRepository, never, type TestRepository } from '../../support/repository.ts'
import { LAYOUT, onDatabase, SCHEMA } from './small-ward.ts'

/** A bed is one patient's at a time; documents and their versions refer to each other. */
const FURTHER = `
  CREATE TABLE bed_time (id int PRIMARY KEY, stay_id bigint REFERENCES stay, during int4range, EXCLUDE USING gist (during WITH &&));
  INSERT INTO bed_time SELECT n, n, int4range(n * 10, n * 10 + 9) FROM generate_series(1, 27) n;
  CREATE TABLE document (id int PRIMARY KEY, stay_id bigint REFERENCES stay, newest int);
  CREATE TABLE edition (id int, number int, body text, PRIMARY KEY (id, number),
    FOREIGN KEY (id) REFERENCES document ON DELETE CASCADE);
  INSERT INTO document SELECT n, n, 1 FROM generate_series(1, 27) n;
  INSERT INTO edition SELECT n, 1, 'body ' || n FROM generate_series(1, 27) n;
  CREATE TABLE consult (stay_id bigint REFERENCES stay, asked_for bigint REFERENCES stay, body text);
  INSERT INTO consult SELECT n, n, 'equal' FROM generate_series(1, 27) n, generate_series(1, 2);
  ALTER TABLE document ADD CONSTRAINT newest_edition FOREIGN KEY (id, newest) REFERENCES edition DEFERRABLE INITIALLY DEFERRED;`

const LAYOUT_FURTHER = {
  ...LAYOUT,
  anchors: { ...LAYOUT.anchors, 'public.bed_time': 'stay_id', 'public.document': 'stay_id', 'public.edition': 'id' },
}

describe('a repair beside other work', () => {
  let server: PostgresServer
  let made: TestRepository
  let repository: Repository
  let count = 0
  let url = ''

  beforeAll(async () => {
    server = await startPostgres({})
    made = await makeRepository()
    const origin = await server.createDatabase('origin')
    await onDatabase(origin, SCHEMA + FURTHER)
    await using source = await openSource({ url: origin })
    await made.snapshot(source, toLayout(LAYOUT_FURTHER), Date.UTC(2026, 0, 2))
    repository = made.repository
  }, 120_000)

  afterAll(async () => {
    await made?.[Symbol.asyncDispose]()
    await server?.[Symbol.asyncDispose]()
  })

  async function ward(accident: string): Promise<void> {
    count += 1
    url = await server.createDatabase(`ward_${count}`)
    await onDatabase(url, `${SCHEMA + FURTHER}; ${accident}`)
  }

  const order = (): PlanOrder => ({
    repository,
    connection: { url },
    requester: 'Wang Fang',
    signal: never(),
    nowMs: Date.now,
    random: randomBytes,
  })

  async function planned(policy: Policy, patient = '2'): Promise<ReadPlan> {
    const world = { temporaryDirectory: '/tmp', signal: never() }
    const wish = { policy, selection: { categories: null, tables: null }, acceptLoss: false }
    const asked = { repository, sourceName: 'icu', at: 'latest' }
    const { plan } = await withStateAt(asked, world, ({ stored }) =>
      makePatientPlan(order(), { stored, patient, asked: 'latest', wish }),
    )
    return plan
  }

  async function apply(plan: ReadPlan, more: Partial<ApplyPlanRequest> = {}): Promise<AppliedPlan> {
    return await applyPlan({ ...order(), plan, executor: 'Zhao Min', emergencyReason: null, onePerson: true, ...more })
  }

  const select = async (sql: string) => (await onDatabase(url, sql))[0]!.rows

  /** The next changeset is kept only when it is let go on: the transaction is open, its rows are locked. */
  function holdNextChangeset(): { isOpen: Promise<void>; goOn: () => void } {
    const [open, on] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const { sealed } = repository
    const write = sealed.write.bind(sealed)
    sealed.write = async (name, type, plain) => {
      if (name.startsWith('changesets/')) {
        sealed.write = write
        open.resolve()
        await on.promise
      }
      await write(name, type, plain)
    }
    return { isOpen: open.promise, goOn: on.resolve }
  }

  it('a second restore of the patient at the same time is refused, one of another patient is not', async () => {
    await ward('DELETE FROM note WHERE stay_id IN (10, 11)')
    const [first, second, other] = [await planned('missing'), await planned('missing'), await planned('missing', '3')]
    const slow = holdNextChangeset()
    const applying = apply(first)
    await slow.isOpen
    await expect(apply(second)).rejects.toMatchObject({
      code: 'plan-moved',
      message: 'another restore of this patient is being applied',
    })
    expect(await apply(other)).toMatchObject({ inserted: 10 })
    slow.goOn()
    expect(await applying).toMatchObject({ inserted: 10 })
    await expect(apply(second)).rejects.toMatchObject({ code: 'plan-moved' })
    expect(await select('SELECT count(*) AS n FROM note')).toEqual([{ n: '270' }])
  }, 60_000)

  it('a deadlock with a ward ends at our expense: nothing is written, and the ward goes on', async () => {
    await ward(
      "UPDATE note SET body = 'wrong' WHERE note_id = 18; UPDATE ward_order SET drug = 'd9' WHERE order_id = 27",
    )
    const plan = await planned('changed')
    const nurse = new pg.Client(url)
    await nurse.connect()
    try {
      await nurse.query("SET deadlock_timeout = '60s'; BEGIN; UPDATE ward_order SET drug = 'd8' WHERE order_id = 27")
      const applying = apply(plan, { lockTimeoutMs: 30_000, statementTimeoutMs: 30_000 })
      const refused = expect(applying).rejects.toMatchObject({ code: 'plan-moved', context: { sqlstate: '40P01' } })
      for (let waits = '0'; waits === '0'; ) {
        const [row] = await select("SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        waits = row.n
      }
      await nurse.query("UPDATE note SET body = 'by a nurse' WHERE note_id = 18; COMMIT")
      await refused
    } finally {
      await nurse.end()
    }
    expect(await select('SELECT body FROM note WHERE note_id = 18')).toEqual([{ body: 'by a nurse' }])
    expect(await select('SELECT drug FROM ward_order WHERE order_id = 27')).toEqual([{ drug: 'd8' }])
  }, 60_000)

  it('a time that another row holds by an exclusion constraint, and a unique value taken since: refused by name, nothing written', async () => {
    await ward(
      'DELETE FROM bed_time WHERE id = 10; DELETE FROM note WHERE stay_id = 10; DELETE FROM ward_order WHERE order_id = 27',
    )
    const plan = await planned('missing')
    await onDatabase(url, "INSERT INTO bed_time VALUES (900, 5, '[103,105)')")
    await expect(apply(plan)).rejects.toMatchObject({ code: 'target-failed', context: { sqlstate: '23P01' } })
    await onDatabase(url, "DELETE FROM bed_time WHERE id = 900; INSERT INTO ward_order VALUES (900, 5, 'd1', 'X27')")
    await expect(apply(plan)).rejects.toMatchObject({ code: 'target-failed', context: { sqlstate: '23505' } })
    expect(await select('SELECT count(*) AS n FROM note WHERE stay_id = 10')).toEqual([{ n: '0' }])
    await onDatabase(url, 'DELETE FROM ward_order WHERE order_id = 900')
    expect(await apply(plan)).toMatchObject({ inserted: 12 })
  }, 60_000)

  it('documents and editions that refer to each other come back, and go again, by the key that can wait', async () => {
    await ward('DELETE FROM document WHERE id = 10')
    expect(await select('SELECT count(*) AS n FROM edition WHERE id = 10')).toEqual([{ n: '0' }])
    const { changesetId, inserted } = await apply(await planned('missing'))
    expect(inserted).toBe(2)
    const { plan } = await makeUndoPlan(order(), changesetId)
    expect(await apply(plan)).toMatchObject({ deleted: 2 })
    expect(await select('SELECT count(*) AS n FROM edition')).toEqual([{ n: '26' }])
  }, 60_000)

  it('equal rows without a key, to which two references lead, come back as many as they were', async () => {
    await ward(
      'DELETE FROM consult WHERE stay_id = 10; DELETE FROM consult WHERE ctid = (SELECT min(ctid) FROM consult WHERE stay_id = 1)',
    )
    const plan = await planned('exact')
    const consult = plan.tables.find(({ name }) => name === 'public.consult')
    expect([consult?.same, consult?.rows.map(({ status }) => status)]).toEqual([3, ['missing', 'missing', 'missing']])
    expect(await apply(plan)).toMatchObject({ inserted: 3 })
    expect(await select('SELECT count(*) AS n FROM consult')).toEqual([{ n: '54' }])
  }, 60_000)

  it('rows that hang on a new stay go back to theirs before it is taken out', async () => {
    await ward("INSERT INTO stay VALUES (900, 2, 'B'); UPDATE note SET stay_id = 900 WHERE stay_id = 10")
    const { changesetId, ...counts } = await apply(await planned('exact'))
    expect(counts).toMatchObject({ updated: 10, deleted: 1 })
    const { plan } = await makeUndoPlan(order(), changesetId)
    expect(await apply(plan)).toMatchObject({ inserted: 1, updated: 10 })
    expect(await select('SELECT count(*) AS n FROM note WHERE stay_id = 900')).toEqual([{ n: '10' }])
  }, 60_000)
})
