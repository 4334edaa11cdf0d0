/**
 * The recovery itself, by the very code that would do it in earnest. What comes out is proved: every root of the copy is
 * computed anew from its rows and compared with what is kept.
 *
 *     database, random-moment   all of it
 *     table                     one table's rows, with its keys and indexes; references to tables that are not there are left
 *     patient                   all of it first; then every row of one patient is deleted there, and put back
 */
import { Failure } from '../../errors.ts'
import { proveRoots } from '../../intake/prove-roots.ts'
import type { Manifest } from '../../repository/manifest.ts'
import type { State } from '../../repository/state/state.ts'
import { restoreDatabase } from '../../restore/database.ts'
import type { NotCaptured } from '../../source/contract.ts'
import { openSource } from '../../source/open.ts'
import type { DrillReport, DrillTable } from './drill-report.ts'
import type { DrillRequest } from './drill-request.ts'
import { losePatient, putPatientBack } from './lost-patient.ts'
import type { ScratchPlace } from './scratch-place.ts'
import { StepTimes } from './step-times.ts'

export interface Recovery {
  readonly table: string | null
  readonly patient: string | null
  readonly tables: readonly DrillTable[]
  readonly notRebuilt: DrillReport['notRebuilt']
}

/** @param state opened, with `times` begun: of a patient they begin anew behind the loss */
export async function recover(
  request: DrillRequest,
  state: State,
  place: ScratchPlace,
  times: StepTimes,
): Promise<{ recovery: Recovery; times: StepTimes }> {
  const table = request.scenario === 'table' ? chosenTable(state.manifest, request.table) : null
  const manifest = table === null ? state.manifest : onlyTable(state.manifest, table)
  const startedMs = request.nowMs()
  const report = await restoreDatabase({
    repository: state.repository,
    manifest,
    into: place.connection,
    buildPool: request.pool,
    signal: request.signal,
    nowMs: request.nowMs,
    onProgress: (event) => request.onProgress(event.kind === 'stage' ? event.stage : 'rows'),
  })
  await place.claim()
  times.mark('T5', startedMs + report.secondsUsable * 1000)
  times.mark('T7', startedMs + report.seconds * 1000)
  const notRebuilt = report.skipped.map(shortened)
  if (request.scenario !== 'patient') {
    return { times, recovery: { table, patient: null, tables: provedTables(manifest), notRebuilt } }
  }
  const later = await recoverPatient(request, state, place)
  return { times: later.times, recovery: { table: null, patient: later.patient, tables: later.tables, notRebuilt } }
}

/** What the copy holds, table by table, where the recovery did not end as it should. */
export async function tablesFound(request: DrillRequest, state: State, place: ScratchPlace): Promise<DrillTable[]> {
  await using source = await openSource(place.connection)
  const { manifest, repository } = state
  const proven = await proveRoots({ source, manifest, repository, pool: request.pool, signal: request.signal })
  const categories = new Map(manifest.tables.map(({ name, category }) => [name, category]))
  return proven.map(({ table, rows, expectedRoot, foundRoot, equal }) => {
    return { table, category: categories.get(table) ?? '', rows, expectedRoot, foundRoot, equal }
  })
}

async function recoverPatient(request: DrillRequest, state: State, place: ScratchPlace) {
  request.onProgress('losing a patient')
  const lost = await losePatient(request, state, place.connection)
  const startedMs = request.nowMs()
  const times = new StepTimes({}, startedMs)
  request.onProgress('putting the patient back')
  times.mark('T6', request.nowMs())
  await putPatientBack(request, lost, place.connection)
  times.mark('T5', request.nowMs())
  request.onProgress('proof')
  const tables = await tablesFound(request, state, place)
  times.mark('T7', request.nowMs())
  const unlike = tables.filter(({ equal }) => !equal)
  if (unlike.length > 0) {
    throw new Failure('restore-unproved', `${unlike[0]!.table}: after the patient was put back, its root is another`, {
      context: { tables: unlike.length },
      hints: ['Run `chartkeep scrub`, and the drill again.'],
    })
  }
  return { times, tables, patient: lost.pseudonym }
}

function chosenTable(manifest: Manifest, wanted: string | null): string {
  const largest = manifest.tables.toSorted((a, b) => b.rows.textBytes - a.rows.textBytes)[0]
  const table = wanted === null ? largest : manifest.tables.find(({ name }) => name === wanted)
  if (table) return table.name
  throw new Failure('bad-usage', `snapshot ${manifest.snapshotId} has no table ${wanted ?? 'at all'}`, {
    hints: ['`chartkeep show SNAPSHOT` lists its tables.'],
  })
}

/** Its rows and definitions, among the empty tables of the others: what refers to their rows cannot hold. */
function onlyTable(manifest: Manifest, table: string): Manifest {
  const steps = manifest.ddl.steps.filter(({ phase }) => phase !== 'foreign-key')
  return { ...manifest, tables: manifest.tables.filter(({ name }) => name === table), ddl: { ...manifest.ddl, steps } }
}

/** A restore that ends has compared all of them. */
function provedTables(manifest: Manifest): DrillTable[] {
  return manifest.tables.map(({ name, category, rows }) => {
    return { table: name, category, rows: rows.rows, expectedRoot: rows.digest, foundRoot: rows.digest, equal: true }
  })
}

function shortened({ kind, name, reason }: NotCaptured): DrillReport['notRebuilt'][number] {
  return { kind, name, reason }
}
