/** One patient is deleted from a copy, every row, and put back by the planner and the writer that would do it in a ward. */
import { assert, Failure } from '../../errors.ts'
import type { State } from '../../repository/state/state.ts'
import { tableSpec } from '../../repository/table-spec.ts'
import { rowText } from '../../repository/tree/rows.ts'
import { TreeReader } from '../../repository/tree/tree-reader.ts'
import { type Closure, patientClosure } from '../../restore/patient/closure.ts'
import { pseudonymOf } from '../../restore/patient/look.ts'
import { planPatient } from '../../restore/patient/plan.ts'
import { patientFacts } from '../../restore/patient/row-status.ts'
import { fieldOfText } from '../../restore/patient/stored-row.ts'
import { StoredRows } from '../../restore/patient/stored-rows.ts'
import type { ConnectionSettings, SchemaInfo, SourceIdentity } from '../../source/contract.ts'
import { applyRows, openLiveRows } from '../../source/open.ts'
import type { RowEdit } from '../../source/row-contract.ts'
import type { DrillRequest } from './drill-request.ts'

export interface LostPatient {
  readonly pseudonym: string
  readonly closure: Closure
  readonly stored: StoredRows
  readonly identity: SourceIdentity
}

const LOCK_TIMEOUT_MS = 10_000
const STATEMENT_TIMEOUT_MS = 600_000

/** @throws bad-configuration when the source knows no patients; bad-usage when it has none, or not this one */
export async function losePatient(
  request: DrillRequest,
  { manifest, repository }: State,
  connection: ConnectionSettings,
): Promise<LostPatient> {
  const stored = new StoredRows(manifest, repository.chunkReader(), repository.keyring.secrets)
  const patient =
    request.patient === null ? await drawPatient(request, { manifest, repository }) : fieldOfText(request.patient)
  const closure = await patientClosure(stored, patient)
  const { schema, identity } = await lookAt(request, connection)
  const edits = editsOf(schema, closure, 'delete')
  if (edits.length === 0) {
    throw new Failure('bad-usage', 'the copy has no row of this patient', { hints: ['Name another with --patient.'] })
  }
  await write(request, connection, identity, edits)
  return { pseudonym: pseudonymOf(repository, patient.toString('utf8')), closure, stored, identity }
}

/** @throws restore-unproved when something of the patient could not be planned back; target-failed */
export async function putPatientBack(
  request: DrillRequest,
  { closure, stored, identity }: LostPatient,
  connection: ConnectionSettings,
): Promise<void> {
  await using live = await openLiveRows(connection, { signal: request.signal, lockTimeoutMs: LOCK_TIMEOUT_MS })
  const facts = await patientFacts(live, closure, stored)
  const selection = { categories: null, tables: null }
  const plan = planPatient(closure, facts, { policy: 'missing', selection, acceptLoss: false })
  const edits = plan.tables.flatMap(({ rows, present, columnsShared }) =>
    rows.flatMap(({ action, past }): RowEdit[] => {
      if (action === 'none') return []
      assert(present !== null && past !== null, 'a row that is put back was there, and so was its table')
      return [{ kind: 'insert', table: present, columns: columnsShared, present: null, future: past.line }]
    }),
  )
  await write(request, connection, identity, edits)
}

async function lookAt({ signal }: DrillRequest, connection: ConnectionSettings) {
  await using live = await openLiveRows(connection, { signal, lockTimeoutMs: LOCK_TIMEOUT_MS })
  return { schema: live.schema, identity: live.identity }
}

function editsOf(schema: SchemaInfo, closure: Closure, kind: 'delete'): RowEdit[] {
  const tables = new Map(schema.tables.map((table) => [table.name, table]))
  return closure.tables.flatMap(({ table, rows }) => {
    const info = tables.get(table.name)
    assert(info, `the copy has table ${table.name}`)
    const columns = table.columns.map(({ name }) => name)
    return rows.map((row): RowEdit => ({ kind, table: info, columns, present: row.line, future: null }))
  })
}

async function write(
  request: DrillRequest,
  connection: ConnectionSettings,
  expected: SourceIdentity,
  edits: readonly RowEdit[],
): Promise<void> {
  await applyRows(connection, {
    expected,
    edits,
    patientLocks: [0n],
    mark: 'drill',
    searchPath: '"$user", public',
    triggerColumns: new Set(),
    lockTimeoutMs: LOCK_TIMEOUT_MS,
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
    signal: request.signal,
    // A copy that is thrown away: nothing of it is to be undone.
    beforeWriting: async () => {},
  })
}

/** One of those in the first leaf of a drawn place: every patient can be met with, and the draw costs one path. */
async function drawPatient(
  request: DrillRequest,
  { manifest, repository }: Pick<State, 'manifest' | 'repository'>,
): Promise<Buffer> {
  const { patient } = manifest
  const table = manifest.tables.find(({ name }) => name === patient?.table)
  if (!patient || !table) {
    throw new Failure('bad-configuration', `source ${manifest.sourceName} has no patient table in its configuration`, {
      hints: ['Drill another scenario, or give `patient` and `anchors`: `chartkeep discover` drafts them.'],
    })
  }
  let left = drawBelow(request, table.rows.rows)
  const field = table.columns.findIndex(({ name }) => name === patient.key)
  const reader = new TreeReader(tableSpec(table), repository.chunkReader(), repository.keyring.secrets)
  for await (const rows of reader.leaves(table.rows)) {
    if (left < rows.count)
      return Buffer.from(rowText(rows, left).toString('latin1').replace(/\n$/, '').split('\t')[field] ?? '', 'latin1')
    left -= rows.count
  }
  throw new Failure('bad-usage', `table ${table.name} has no patient`, { hints: ['Drill another scenario.'] })
}

/** Even but for a part in 2^32. */
export function drawBelow({ random }: Pick<DrillRequest, 'random'>, limit: number): number {
  return limit === 0 ? 0 : Number(Buffer.from(random(8)).readBigUInt64LE() % BigInt(limit))
}
