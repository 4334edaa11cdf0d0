/**
 * Random accidents, random repair, undo, on the SQL Server of `TEST_SQLSERVER_URL` (server.ts): the patient is as then under
 * the policy, everybody else as before, and after the undo all is as it was. Judged by plain T-SQL and by the judge of the
 * same accidents on PostgreSQL. `SQLSERVER_ACCIDENTS` says how many, `SQLSERVER_ACCIDENTS_FROM` the first seed.
 */
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Random } from '../../../scripts/reference/random.ts'
import { Failure } from '../../../src/errors.ts'
import { type AppliedPlan, applyPlan } from '../../../src/restore/patient/apply.ts'
import { withStateAt } from '../../../src/restore/patient/look.ts'
import { type MadePlan, makePatientPlan, makeUndoPlan } from '../../../src/restore/patient/make-plan.ts'
import { POLICIES } from '../../../src/restore/patient/plan.ts'
import type { ConnectionSettings } from '../../../src/source/contract.ts'
import { openSource } from '../../../src/source/open.ts'
import { leftIn, leftOut, unwanted } from '../../restore/patient/accidents/judge.ts'
import { differing, type Seen } from '../../restore/patient/accidents/rows.ts'
import { toLayout } from '../../support/layout.ts'
import { makeRepository, never, type TestRepository } from '../../support/repository.ts'
import { befall, couldBeTakenOut, couldBeWritten, goOn, LAYOUT, makeWard, putBack, see } from './accident-ward.ts'
import { createDatabase, dropDatabases, serverUrl } from './server.ts'

const FIRST = Number(process.env.SQLSERVER_ACCIDENTS_FROM ?? 1)
const SEEDS = Array.from({ length: Number(process.env.SQLSERVER_ACCIDENTS ?? 4) }, (_, index) => FIRST + index)

describe.skipIf(serverUrl === undefined)('a patient of a SQL Server', { timeout: 600_000 }, () => {
  let made: TestRepository
  let connection: ConnectionSettings
  const moments: { readonly asked: string; readonly seen: Seen }[] = []

  beforeAll(async () => {
    made = await makeRepository()
    connection = await createDatabase()
    await makeWard(connection)
    const layout = toLayout(LAYOUT)
    await using source = await openSource(connection)
    for (const atMs of [Date.UTC(2026, 2, 1), Date.UTC(2026, 2, 2)]) {
      if (moments.length > 0) await goOn(connection)
      moments.push({ asked: await made.snapshot(source, layout, atMs), seen: await see(connection) })
    }
  }, 600_000)

  afterAll(async () => {
    await dropDatabases()
    await made?.[Symbol.asyncDispose]()
  }, 600_000)

  function order() {
    const { repository } = made
    return { repository, connection, requester: 'Wang Fang', signal: never(), nowMs: Date.now, random: randomBytes }
  }

  /** Null when there was nothing to write. A machine that is busy with other things may take longer than wards may wait. */
  async function carryOut(make: () => Promise<MadePlan>, tries = 3): Promise<AppliedPlan | null> {
    try {
      const { plan } = await make()
      const settings = {
        executor: 'Zhao Min',
        emergencyReason: null,
        onePerson: true,
        triggerColumns: new Set<string>(),
      }
      return await applyPlan({ ...order(), plan, ...settings })
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      if (/has nothing to write/.test(error.message)) return null
      if (tries > 1 && /took too long/.test(error.message)) return await carryOut(make, tries - 1)
      throw error
    }
  }

  async function obstacles(repair: Parameters<typeof leftOut>[0]): Promise<string[]> {
    const found: string[] = []
    for (const { row, before } of leftOut(repair)) {
      if (before && before.owner !== repair.patient) continue
      if (row.table.key.length > 0 && (await couldBeWritten(connection, row, before !== undefined)))
        found.push(`left out, and nothing stands against it: a row of ${row.table.name}`)
    }
    for (const { row } of leftIn(repair)) {
      if (await couldBeTakenOut(connection, row))
        found.push(`left in, and nothing holds it: a row of ${row.table.name}`)
    }
    return found
  }

  it.each(SEEDS)('seed %i', async (seed) => {
    const random = new Random(seed, 'accident')
    await putBack(connection)
    const moment = random.pick(moments)
    const patients = ['1', '2', '3', '4', '5', '6']
    const patient = random.pick(patients)
    const story = await befall(connection, random, { patient, others: patients.filter((other) => other !== patient) })
    const policy = random.pick(POLICIES)
    const before = await see(connection)

    const applied = await carryOut(() =>
      withStateAt(
        { repository: made.repository, sourceName: 'icu', at: moment.asked },
        { temporaryDirectory: tmpdir(), signal: never() },
        ({ stored }) =>
          makePatientPlan(order(), {
            stored,
            patient,
            asked: moment.asked,
            wish: { policy, selection: { categories: null, tables: null }, acceptLoss: false },
          }),
      ),
    )
    const after = await see(connection)
    const isTouched = () => false
    const repair = { patient, policy, past: moment.seen, before, after, isSelected: () => true, isTouched }
    const findings = [...unwanted(repair), ...(await obstacles(repair))]
    if (!applied && differing(before, after).length > 0) findings.push('nothing was applied, and rows differ')
    if (applied) {
      const undone = await carryOut(() => makeUndoPlan(order(), applied.changesetId))
      const last = await see(connection)
      if (!undone || differing(before, last).length > 0) findings.push('undone, and rows differ')
    }

    const about = `${story.join('; ')}; patient ${patient} ${policy}, ${applied?.inserted}+${applied?.updated}+${applied?.deleted}`
    expect({ about, findings }).toEqual({ about, findings: [] })
  })
})
