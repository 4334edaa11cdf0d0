/**
 * An accident befalls one patient: the notes of the last shift are deleted, the orders overwritten. It is found in the
 * patient's time line; a plan for the moment just before it is made and shown as a page, approved by another person, carried
 * out, proved by PostgreSQL alone, taken back, and carried out again.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { parseDocument } from 'yaml'
import { type Accident, digestByPostgres, patientAccident, runAsAdministrator, type TableRows } from './databases.ts'
import { type AppliedResult, type PatientResult, type PlanResult, shapes } from './result.ts'
import type { RunningCommand, Said } from './running-command.ts'
import { fromCheckout, type Stage } from './stage.ts'

const WRITER = 'chartkeep_writer'
const PURPOSE = '演示：误删护理记录'
type Digests = ReadonlyMap<string, TableRows>

/**
 * Ends when the log has it.
 * @param password of the role that writes
 */
export async function haveAccident(stage: Stage, password: string, capture: RunningCommand): Promise<Accident> {
  await prepare(stage, password)
  const earlier = new Set(capture.said)
  const isIt = (line: Said) => !earlier.has(line) && line.kind === 'sealed' && shapes.sealed.parse(line).changes > 0
  const happen = async () => {
    const accident = await patientAccident(stage.sourceUrl)
    await capture.saysThat(isIt)
    return accident
  }
  return await stage.story.does('accident', happen, ({ deleted, overwritten }) => {
    return `${deleted} nursing records of a shift deleted, ${overwritten} orders overwritten; the change log has it`
  })
}

export async function repairPatient(stage: Stage, accident: Accident): Promise<PatientResult> {
  const { story, places, sourceUrl } = stage
  const look = () => digestByPostgres(sourceUrl, accident.tables)
  const harmed = await look()
  const change = await findAccident(stage, accident)

  const at = ['--config', places.configuration]
  const wish = ['--at', `before:${change}`, '--policy', 'changed', '--purpose', PURPOSE]
  const ask = ['restore', 'patient', accident.patient, ...at, ...wish]
  const planned = (step: 'patient-plan' | 'again-plan', plan: string, page: string) =>
    story.asks(step, [...ask, '--plan', plan, '--page', page], shapes.plan, (made) => `${describePlan(made)}; ${page}`)
  const plan = await planned('patient-plan', places.plan, places.planPage)
  const counts = [sum(plan, 'insert'), sum(plan, 'update')]
  const isAll = counts[0] === accident.deleted && counts[1] === accident.overwritten
  story.expect('patient-plan', isAll, `the plan has ${counts.join(' and ')} rows`)

  const repaired = await carryOut(stage, places.plan, 'patient-approve', 'patient-apply')
  const proved = await story.does('patient-prove', look, () => 'both tables have the MD5 of before the accident')
  story.expect('patient-prove', areEqual(proved, accident.before), 'a table differs from before the accident')

  const undo = ['undo', repaired.changesetId, ...at, '--plan', places.undoPlan]
  await story.asks('patient-undo', undo, shapes.plan, describePlan)
  await carryOut(stage, places.undoPlan, 'undo-approve', 'undo-apply')
  story.expect('undo-apply', areEqual(await look(), harmed), 'a table differs from after the accident')
  story.print('  both tables are as the accident left them: what was put back was taken back')

  await planned('again-plan', places.againPlan, places.againPage)
  await carryOut(stage, places.againPlan, 'again-approve', 'again-apply')
  story.expect('again-apply', areEqual(await look(), accident.before), 'a table differs from before the accident')
  return { inserted: repaired.inserted, updated: repaired.updated, seconds: repaired.seconds }
}

/** What a transaction is called in a time line: log, place of its commit, number. */
const CHANGE = /\b[0-9a-f]{8}-[0-9A-F]+\/[0-9A-F]+-\d+\b/

/** As somebody would who was told that something is missing since the shift began. */
async function findAccident({ story, places }: Stage, { patient, sinceTime }: Accident): Promise<string> {
  const ask = ['patient', 'timeline', patient, '--config', places.configuration]
  const said = await story.types('timeline', [...ask, '--since', sinceTime, '--purpose', PURPOSE])
  const [change] = CHANGE.exec(said) ?? []
  story.expect('timeline', change !== undefined, 'the time line does not have the accident')
  return change!
}

/** A role that may write, which the one that reads is not, and an approver with a key of her own. */
async function prepare({ story, places, sourceUrl }: Stage, password: string): Promise<void> {
  const path = fromCheckout(places.configuration)
  const document = parseDocument(await readFile(path, 'utf8'))
  const [name = ''] = Object.keys((document.toJS() as { sources: object }).sources)
  const url = new URL(String(document.getIn(['sources', name, 'url'])))
  url.username = WRITER
  const setUp = ['setup-sql', url.href, '--writer']
  const script = await story.types('writer', setUp, { redirection: `> ${places.writerSql}` })
  await writeFile(fromCheckout(places.writerSql), script)
  await runAsAdministrator(sourceUrl, script, { role: WRITER, password })
  document.setIn(['sources', name, 'writer'], { url: url.href })
  await writeFile(path, document.toString())
  const key = ['key', 'create', '--config', places.configuration, '--role', 'approver', '--name', '陈主任']
  await story.types('approver', [...key, '--out', places.approverKey])
}

async function carryOut(
  { story, places }: Stage,
  plan: string,
  approve: 'patient-approve' | 'undo-approve' | 'again-approve',
  apply: 'patient-apply' | 'undo-apply' | 'again-apply',
): Promise<AppliedResult> {
  const at = ['--config', places.configuration]
  const yes = ['approve', plan, ...at, '--key-file', places.approverKey]
  await story.asks(approve, yes, shapes.approval, ({ signerId }) => `signed by key ${signerId}, of another person`)
  const write = ['restore', 'patient', '--apply', plan, ...at, '--yes']
  return await story.asks(apply, write, shapes.applied, describeApplied)
}

function describePlan(plan: PlanResult): string {
  return `${sum(plan, 'insert')} rows to put in, ${sum(plan, 'update')} to change, ${sum(plan, 'delete')} to take out`
}

function describeApplied({ inserted, updated, deleted, changesetId }: AppliedResult): string {
  return `${inserted} put in, ${updated} changed, ${deleted} taken out; each read back in the same transaction\nchangeset ${changesetId}`
}

function sum({ tables }: PlanResult, action: 'insert' | 'update' | 'delete'): number {
  return tables.reduce((total, table) => total + table[action], 0)
}

function areEqual(a: Digests, b: Digests): boolean {
  return a.size === b.size && [...a].every(([table, { md5 }]) => b.get(table)?.md5 === md5)
}
