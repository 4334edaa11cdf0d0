import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { chooseSource, type SourceConfiguration } from '../config.ts'
import { Failure } from '../errors.ts'
import type { Repository } from '../repository/repository.ts'
import { type AppliedPlan, applyPlan, describeAuthorisation } from '../restore/patient/apply.ts'
import { pseudonymOf, refuseWithoutPurpose } from '../restore/patient/look.ts'
import { type MadePlan, makePatientPlan, type PlanOrder } from '../restore/patient/make-plan.ts'
import { POLICIES } from '../restore/patient/plan.ts'
import { type ReadPlan, readPlan, subjectsOf } from '../restore/patient/plan-document.ts'
import { argumentConnection, sourceConnection, writerConnection } from '../secrets.ts'
import type { ConnectionSettings } from '../source/contract.ts'
import { action, type Cli, describe } from './command.ts'
import { actorOf, openConfiguredRepository, readConfiguration } from './open.ts'
import { selectionFrom } from './patient-selection.ts'
import { type MomentOptions, withMoment, withPatientState } from './patient-state.ts'
import { type PlanViewOptions, showPlan, withPlanView } from './plan-options.ts'
import { planLines } from './plan-page.ts'
import { formatSeconds } from './terminal.ts'

interface PatientOptions extends MomentOptions, PlanViewOptions {
  readonly json: boolean
  readonly policy: string
  readonly category: readonly string[]
  readonly table: readonly string[]
  readonly only: readonly string[]
  readonly onlyFrom?: string
  readonly acceptLoss: boolean
  readonly plan?: string
  readonly purpose?: string
  readonly apply?: string
  readonly into?: string
  readonly yes: boolean
  readonly emergency?: string
}

export function register(restore: Command, cli: Cli): void {
  const command = describe({
    name: 'patient',
    summary: 'put one patient back as of a moment: plan, then apply',
    description:
      'With --plan: compares the patient then with the patient now, row by row, and writes what would be done to a file.\n' +
      'Nothing is changed. Show the file to whoever approves it: `chartkeep approve FILE`.\n' +
      'With --apply: carries an approved plan out in one transaction: every row must still be as the plan found it; what\n' +
      'undoes it is stored first; every row is read back. The role is `writer` of the configuration.\n' +
      'Policies: missing puts back what is gone; changed sets back, too, what differs; exact takes out, too, what is new.',
    examples: [
      'chartkeep restore patient 417 --at 2026-03-01T10:15:00+08:00 --purpose "request 117" --plan plan.json',
      'chartkeep restore patient 417 --at latest --category 医嘱 --policy changed --purpose "request 117" --plan plan.json',
      'chartkeep restore patient 417 --only public.nursing_note:90417 --purpose "request 117" --plan plan.json',
      'chartkeep restore patient 417 --into postgres://drill-1/icu_copy --purpose "request 117" --plan first.json',
      'chartkeep restore patient --apply plan.json --yes',
    ],
    failures: [
      'missing-secret',
      'wrong-key',
      'snapshot-not-found',
      'change-log-gap',
      'schema-changed',
      'plan-refused',
      'plan-moved',
      'restore-unproved',
      'target-failed',
      'outcome-unknown',
    ],
  })
  command.argument('[id]', "the patient's key, for --plan")
  withPlanView(withMoment(command))
    .option('--policy <policy>', POLICIES.join(', '), 'missing')
    .option('--category <name>', 'only this category; may be repeated', collect, [])
    .option('--table <name>', 'only this table; may be repeated', collect, [])
    .option('--only <table:key>', 'only this row, by its primary key; may be repeated', collect, [])
    .option('--only-from <file>', 'only the rows that a file names: on each line table and key, tabs between')
    .option('--accept-loss', 'put back rows without the columns that are gone', false)
    .option('--purpose <text>', 'why the patient is looked at: it stands in the audit')
    .option('--plan <file>', 'write the plan to a file that is not there yet')
    .option('--apply <file>', 'carry out a plan')
    .option('--yes', 'with --apply: write into production', false)
    .option('--into <url>', 'another database than the source, to look first: for --plan and for --apply')
    .option('--emergency <reason>', 'with --apply: go ahead without approval; the reason is kept')
    .action(action(cli, run))
  restore.addCommand(command)
}

export function collect(value: string, list: readonly string[]): string[] {
  return [...list, value]
}

async function run(cli: Cli, id: string | undefined, options: PatientOptions): Promise<void> {
  if (options.apply !== undefined && id === undefined) return await runApply(cli, options.apply, options)
  if (id === undefined || options.apply !== undefined) {
    throw new Failure('bad-usage', 'give either a patient with --plan FILE, or --apply FILE', {
      hints: ['See `chartkeep restore patient --help`.'],
    })
  }
  await runPlan(cli, id, options)
}

async function runPlan(cli: Cli, id: string, options: PatientOptions): Promise<void> {
  refuseWithoutPurpose(options.purpose ?? '')
  const policy = POLICIES.find((known) => known === options.policy)
  if (!policy)
    throw new Failure('bad-usage', `there is no policy ${options.policy}`, {
      hints: [`Policies: ${POLICIES.join(', ')}.`],
    })
  await withPatientState(cli, options, async ({ configured, repository, stored }) => {
    const subject = pseudonymOf(repository, id)
    const deed = { actor: actorOf(cli), action: 'patient.plan', subject, detail: options.purpose ?? '' }
    const wish = { policy, selection: await selectionFrom(options), acceptLoss: options.acceptLoss }
    const asked = { stored, patient: id, asked: options.at, wish }
    const plan = await repository.audit.around(deed, cli.nowMs, async () => {
      const order = planOrder(cli, repository, await readConnection(cli, configured, options.into))
      return await keepPlan(await makePatientPlan(order, asked), options.plan ?? null)
    })
    await showPlan(cli, plan, options)
    if (options.json) return
    if (options.plan === undefined) cli.terminal.out('Nothing was written. Give --plan FILE to keep this plan.')
    else cli.terminal.out(`Nothing was changed. Next: chartkeep approve ${options.plan}, by another person.`)
  })
}

/** Of the source, or of the database beside it that is to be looked at first. */
export async function readConnection(
  cli: Cli,
  configured: SourceConfiguration,
  into: string | undefined,
): Promise<ConnectionSettings> {
  return into === undefined ? await sourceConnection(configured, cli.world) : await argumentConnection(into, cli.world)
}

export function planOrder(cli: Cli, repository: Repository, connection: ConnectionSettings): PlanOrder {
  const { signal, nowMs } = cli
  return { repository, connection, requester: cli.world.userName, signal, nowMs, random: randomBytes }
}

/** Into a file that is not there yet, where one is named. @throws bad-usage */
export async function keepPlan({ bytes, plan }: MadePlan, file: string | null): Promise<ReadPlan> {
  if (file === null) return plan
  await writeFile(file, bytes, { flag: 'wx', mode: 0o600 }).catch((error: NodeJS.ErrnoException) => {
    throw new Failure('bad-usage', `${file} cannot be written (${error.code})`, {
      hints: ['Name a file that is not there yet.'],
    })
  })
  return plan
}

export async function planFile(repository: Repository, file: string): Promise<ReadPlan> {
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    throw new Failure('bad-usage', `cannot read ${file} (${error.code})`)
  })
  return await readPlan(repository, bytes)
}

async function runApply(cli: Cli, file: string, options: PatientOptions): Promise<void> {
  const configuration = await readConfiguration(cli, options)
  await using repository = await openConfiguredRepository(cli, configuration)
  const plan = await planFile(repository, file)
  const configured = chooseSource(configuration, options.source ?? plan.document.sourceName)
  if (!options.yes) {
    for (const line of planLines(plan)) cli.terminal.out(line)
    const where = options.into === undefined ? 'production' : 'a database'
    throw new Failure('bad-usage', `this writes into ${where}`, { hints: ['Give --yes when that is what you want.'] })
  }
  const { into } = options
  const connection =
    into === undefined ? await writerConnection(configured, cli.world) : await argumentConnection(into, cli.world)
  const { searchPath, triggerColumns } = configured.writer ?? { searchPath: null, triggerColumns: [] }
  const [subject, ...others] = subjectsOf(plan.document)
  const deed = {
    actor: actorOf(cli),
    action: 'patient.apply',
    detail: `plan ${plan.document.planId}${options.emergency === undefined ? '' : `; emergency: ${options.emergency}`}`,
  }
  const apply = () =>
    applyPlan({
      repository,
      connection,
      plan,
      executor: cli.world.userName,
      emergencyReason: options.emergency ?? null,
      onePerson: configuration.approval === 'one-person',
      ...(searchPath !== null && { searchPath }),
      triggerColumns: new Set(triggerColumns),
      signal: cli.signal,
      nowMs: cli.nowMs,
      random: randomBytes,
    })
  const applied = await repository.audit.aroundEach(deed, others, cli.nowMs, () =>
    repository.audit.around({ ...deed, subject: subject! }, cli.nowMs, apply, (done) => done.changesetId),
  )
  showApplied(cli, applied, options.json)
}

function showApplied(cli: Cli, applied: AppliedPlan, json: boolean): void {
  const { out } = cli.terminal
  if (json) {
    out(JSON.stringify({ type: 'applied', ...applied }))
    return
  }
  const { changesetId, inserted, updated, deleted, seconds, authorisation } = applied
  out(`applied    ${inserted} rows put back, ${updated} set back, ${deleted} taken out, in ${formatSeconds(seconds)}`)
  out('proved     every row was read back as the plan has it, in the same transaction')
  out(`right      ${describeAuthorisation(authorisation)}`)
  for (const [column, rows] of Object.entries(applied.triggered))
    out(`trigger    made its own of ${column} in ${rows} rows`)
  if (applied.sideEffects === null) out('beside     unknown: the server counts no rows (track_counts is off)')
  for (const [table, beside] of Object.entries(applied.sideEffects ?? {})) {
    out(
      `beside     ${table}: triggers put in ${beside.inserted}, changed ${beside.updated}, took out ${beside.deleted}`,
    )
  }
  out(`changeset  ${changesetId}`)
  out(`undo       chartkeep undo ${changesetId} --plan undo.json`)
}
