import { mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Command } from 'commander'
import { Failure } from '../errors.ts'
import { type Closure, patientClosure } from '../restore/patient/closure.ts'
import { exportPatient } from '../restore/patient/export.ts'
import { findPatients } from '../restore/patient/find.ts'
import { pseudonymOf, refuseWithoutPurpose } from '../restore/patient/look.ts'
import { printable } from '../restore/patient/plan-view.ts'
import { fieldOfText } from '../restore/patient/stored-row.ts'
import type { StoredRows } from '../restore/patient/stored-rows.ts'
import { action, type Cli, describe } from './command.ts'
import { actorOf } from './open.ts'
import { type MomentOptions, withMoment, withPatientState } from './patient-state.ts'
import { formatCount, formatTable } from './terminal.ts'
import { register as registerTimeline } from './timeline.ts'

interface PurposeOptions extends MomentOptions {
  readonly purpose: string
}

interface ExportOptions extends PurposeOptions {
  readonly out: string
}

const FOUND_MAX = 50
const FAILURES = ['missing-secret', 'wrong-key', 'snapshot-not-found', 'change-log-gap', 'repository-damaged'] as const
const PURPOSE = 'why the patient is looked at: it stands in the audit'

export function register(program: Command, cli: Cli): void {
  const patient = new Command('patient').summary('one patient: find, timeline, show, export').exitOverride()
  patient.description('One patient over all tables, as of a moment. Who looked, at whom and why, stands in the audit.')
  const find = describe({
    name: 'find',
    summary: 'find patients by key or label',
    description:
      'Lists patients whose key is TEXT, or of whose labels (`patient.label` in the configuration) one contains it, as of\n' +
      'a moment: also somebody whom the database does not have any more.',
    examples: ['chartkeep patient find 00417 --purpose "request 2026-117"'],
    failures: FAILURES,
  })
  find.argument('<text>', 'a key, or part of a label')
  withMoment(find).requiredOption('--purpose <text>', PURPOSE).action(action(cli, runFind))

  const show = describe({
    name: 'show',
    summary: 'count the rows of a patient',
    description:
      'Lists by table how many rows the patient has at the moment, what they need elsewhere, and what was left out.',
    examples: ['chartkeep patient show 417 --at 2026-03-01T10:15:00+08:00 --purpose "request 2026-117"'],
    failures: FAILURES,
  })
  show.argument('<id>', "the patient's key")
  withMoment(show).requiredOption('--purpose <text>', PURPOSE).action(action(cli, runShow))

  const exported = describe({
    name: 'export',
    summary: "write a patient's rows to files",
    description:
      'Writes CSV and JSON lines for each table, with SHA256SUMS beside them (`sha256sum -c SHA256SUMS`), into a new\n' +
      'directory. Values stand as the database printed them. The files hold patient data: keep them as such.',
    examples: ['chartkeep patient export 417 --at latest --out /secure/417 --purpose "court order 12"'],
    failures: FAILURES,
  })
  exported.argument('<id>', "the patient's key")
  withMoment(exported)
    .requiredOption('--out <directory>', 'a directory that is not there yet')
    .requiredOption('--purpose <text>', PURPOSE)
    .action(action(cli, runExport))
  patient.addCommand(find)
  registerTimeline(patient, cli)
  program.addCommand(patient.addCommand(show).addCommand(exported))
}

async function runFind(cli: Cli, text: string, options: PurposeOptions): Promise<void> {
  refuseWithoutPurpose(options.purpose)
  await withPatientState(cli, options, async ({ repository, stored }) => {
    const subject = stored.manifest.snapshotId
    const deed = { actor: actorOf(cli), action: 'patient.find', subject, detail: options.purpose }
    const found = await repository.audit.around(deed, cli.nowMs, () => findPatients(stored, text, FOUND_MAX))
    const rows = found.patients.map(({ key, label }) => [key, ...label].map((field) => printable(`${field ?? ''}`)))
    if (options.json) {
      for (const [key, ...label] of rows) cli.terminal.out(JSON.stringify({ type: 'patient', key, label }))
      return
    }
    for (const line of formatTable(['key', ...found.labelColumns], rows, [])) cli.terminal.out(line)
    if (found.more) cli.terminal.out(`more than ${FOUND_MAX}: give more of the key or label`)
    if (rows.length === 0) cli.terminal.out('nobody; try another moment with --at')
  })
}

async function runShow(cli: Cli, id: string, options: PurposeOptions): Promise<void> {
  refuseWithoutPurpose(options.purpose)
  await withPatientState(cli, options, async ({ repository, stored }) => {
    const subject = pseudonymOf(repository, id)
    const deed = { actor: actorOf(cli), action: 'patient.show', subject, detail: options.purpose }
    const closure = await repository.audit.around(deed, cli.nowMs, () => patientClosure(stored, fieldOfText(id)))
    const tables = closure.tables.filter(({ rows }) => rows.length > 0)
    if (options.json) {
      const counted = tables.map(({ table, found, rows }) => ({
        table: table.name,
        category: table.category,
        found,
        rows: rows.length,
      }))
      const needed = closure.needed.map(({ table, by }) => ({ table: table.name, by }))
      cli.terminal.out(
        JSON.stringify({
          type: 'patient',
          patient: subject,
          tables: counted,
          needed: needed.length,
          asOf: momentOf(stored),
          leftOut: closure.leftOut,
          older: closure.older,
        }),
      )
      return
    }
    const lines = tables.map(({ table, found, rows }) => [table.category, table.name, formatCount(rows.length), found])
    const { snapshot, sourceTime } = momentOf(stored)
    cli.terminal.out(`patient  ${subject}`)
    cli.terminal.out(`as of    ${sourceTime} (snapshot ${snapshot})`)
    for (const line of formatTable(['category', 'table', 'rows', 'found by'], lines, [2])) cli.terminal.out(line)
    cli.terminal.out(
      `needs    ${formatCount(closure.needed.length)} rows of others (dictionaries, staff, other patients)`,
    )
    for (const line of limitLines(closure, snapshot)) cli.terminal.out(line)
  })
}

function momentOf({ manifest: { snapshotId, position } }: StoredRows): { snapshot: string; sourceTime: string } {
  return { snapshot: snapshotId, sourceTime: position.sourceTime }
}

/** What the rows are not: of that moment, or all. */
function limitLines({ older, leftOut }: Closure, snapshot: string): string[] {
  return [
    ...older.map(({ table, reason }) => `older    ${table}: as of snapshot ${snapshot} (${reason})`),
    ...leftOut.map(({ table, reason }) => `left out ${table}: ${reason}`),
  ]
}

async function runExport(cli: Cli, id: string, options: ExportOptions): Promise<void> {
  refuseWithoutPurpose(options.purpose)
  await withPatientState(cli, options, async ({ repository, stored }) => {
    const subject = pseudonymOf(repository, id)
    const deed = { actor: actorOf(cli), action: 'patient.export', subject, detail: options.purpose }
    const closure = await repository.audit.around(deed, cli.nowMs, () => patientClosure(stored, fieldOfText(id)))
    const asOf = momentOf(stored)
    const files = exportPatient(closure, { patient: subject, asOf })
    const directory = resolve(options.out)
    await mkdir(directory, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
      throw new Failure('bad-usage', `${directory} cannot be made (${error.code})`, {
        hints: ['Name a directory that is not there yet.'],
      })
    })
    for (const { name, bytes } of files) await writeFile(join(directory, name), bytes, { flag: 'wx', mode: 0o600 })
    if (options.json)
      cli.terminal.out(
        JSON.stringify({ type: 'export', patient: subject, directory, files: files.map(({ name }) => name) }),
      )
    else {
      cli.terminal.out(`exported ${files.length} files to ${directory}, as of ${asOf.sourceTime}`)
      for (const line of limitLines(closure, asOf.snapshot)) cli.terminal.out(line)
    }
  })
}
