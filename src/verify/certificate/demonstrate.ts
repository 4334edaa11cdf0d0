/**
 * 查阅, 调取, 统计, 导出, each shown by doing it on a copy that was restored from the end snapshot, with the repository's
 * proved rows as what must come out:
 *
 *     look-up   rows drawn from all tables, looked up by their key
 *     retrieve  patients drawn from all patients, with everything that is theirs
 *     count     rows of every table and month, counted by the copy's own database
 *     export    the same patients as files, read back as another program would
 */

import type { Manifest, TableManifest } from '../../repository/manifest.ts'
import type { Repository } from '../../repository/repository.ts'
import { tableSpec } from '../../repository/table-spec.ts'
import { type Closure, patientClosure } from '../../restore/patient/closure.ts'
import { exportRows, textOf } from '../../restore/patient/export.ts'
import { livePatient } from '../../restore/patient/live-patient.ts'
import { fieldNumber } from '../../restore/patient/references.ts'
import { fieldOf, type StoredRow } from '../../restore/patient/stored-row.ts'
import { StoredRows } from '../../restore/patient/stored-rows.ts'
import type { ConnectionSettings } from '../../source/contract.ts'
import { countByMonth, openLiveRows } from '../../source/open.ts'
import type { LiveRows } from '../../source/row-contract.ts'
import { upperBound } from './bound.ts'
import type { BalanceLine, Demonstration, Statement } from './document.ts'
import { clockColumn } from './months.ts'
import { nthRows } from './nth-rows.ts'
import { readCsv } from './read-back-csv.ts'
import type { ExplainRules } from './rules.ts'
import { draw } from './sample.ts'

export interface DemonstrationRequest {
  readonly repository: Repository
  readonly manifest: Manifest
  readonly copy: ConnectionSettings
  readonly rules: ExplainRules
  readonly balance: readonly BalanceLine[]
  readonly seed: string
  readonly sample: { readonly rows: number; readonly patients: number }
  readonly nowMs: () => number
  readonly signal: AbortSignal
}

const LOCK_TIMEOUT_MS = 30_000

/** @throws source-… when the copy cannot be asked; repository-damaged, store-… */
export async function demonstrate(request: DemonstrationRequest): Promise<Demonstration[]> {
  const { signal } = request
  await using live = await openLiveRows(request.copy, { signal, lockTimeoutMs: LOCK_TIMEOUT_MS })
  const lookedUp = await timed(request, () => lookUp(request, live))
  const [retrieved, exported] = await showPatients(request, live)
  return [lookedUp, retrieved, await timed(request, () => countRows(request)), exported]
}

/** What a certificate says where nothing was restored. */
export function notDemonstrated(statement: Statement): Demonstration {
  const nothing = { population: 0, sample: 0, failures: 0, upperBound: 0, seconds: 0, tables: [] }
  return { statement, isDone: false, draw: null, ...nothing }
}

type Looked = Omit<Demonstration, 'isDone' | 'upperBound' | 'seconds'>

async function timed({ nowMs }: DemonstrationRequest, work: () => Promise<Looked>): Promise<Demonstration> {
  const startedMs = nowMs()
  const looked = await work()
  return demonstrated(looked, nowMs() - startedMs)
}

function demonstrated(looked: Looked, ms: number): Demonstration {
  return { ...looked, isDone: true, upperBound: upperBound(looked), seconds: Math.round(ms / 100) / 10 }
}

async function lookUp(request: DemonstrationRequest, live: LiveRows): Promise<Looked> {
  const { repository, manifest, seed, sample } = request
  const tables = manifest.tables.filter(({ primaryKey }) => primaryKey.length > 0)
  const population = tables.reduce((sum, { rows }) => sum + rows.rows, 0)
  const numbers = draw({ seed, name: 'look-up', population, sample: sample.rows })
  let failures = 0
  let start = 0
  for (const table of tables) {
    const end = start + table.rows.rows
    const own = numbers.filter((number) => number >= start && number < end).map((number) => number - start)
    start = end
    if (own.length > 0) failures += await missedRows(live, await nthRows(repository, table, own), table)
  }
  const names = tables.map(({ name }) => name)
  return { statement: 'look-up', draw: 'look-up', population, sample: numbers.length, failures, tables: names }
}

/** How many of the rows the copy does not give, byte for byte. */
async function missedRows(live: LiveRows, rows: readonly StoredRow[], table: TableManifest): Promise<number> {
  const present = live.schema.tables.find(({ name }) => name === table.name)
  if (!present) return rows.length
  const columns = table.columns.map(({ name }) => name)
  const key = tableSpec(table).key
  const values = rows.map((row) => key.map((field) => fieldOf(row, field)))
  const found = await live.rows({ table: present, columns, where: { columns: table.primaryKey, values } })
  const lines = new Set(found.map((line) => line.toString('latin1')))
  return rows.filter(({ line }) => !lines.has(line.toString('latin1'))).length
}

/** Of one demonstration with patients, so far. */
interface Shown {
  failures: number
  ms: number
}

/** One patient after the other: what all of them have would be a good part of a small database. */
async function showPatients(request: DemonstrationRequest, live: LiveRows): Promise<[Demonstration, Demonstration]> {
  const { repository, manifest, nowMs } = request
  const stored = new StoredRows(manifest, repository.chunkReader(), repository.keyring.secrets)
  const { population, keys } = await drawPatients(request)
  const [retrieved, exported]: [Shown, Shown] = [
    { failures: 0, ms: 0 },
    { failures: 0, ms: 0 },
  ]
  let tables: readonly string[] = []
  for (const key of keys) {
    const closure = await patientClosure(stored, key)
    if (tables.length === 0) tables = closure.tables.map(({ table }) => table.name)
    for (const [shown, isWhole] of [
      [retrieved, isRetrieved],
      [exported, isExported],
    ] as const) {
      const startedMs = nowMs()
      if (!(await isWhole(live, closure))) shown.failures += 1
      shown.ms += nowMs() - startedMs
    }
  }
  const facts = { draw: 'patients', population, sample: keys.length, tables }
  return [
    demonstrated({ statement: 'retrieve', ...facts, failures: retrieved.failures }, retrieved.ms),
    demonstrated({ statement: 'export', ...facts, failures: exported.failures }, exported.ms),
  ]
}

async function drawPatients({ repository, manifest, seed, sample }: DemonstrationRequest) {
  const table = manifest.tables.find(({ name }) => name === manifest.patient?.table)
  if (!manifest.patient || !table) return { population: 0, keys: [] }
  const population = table.rows.rows
  const numbers = draw({ seed, name: 'patients', population, sample: sample.patients })
  const key = fieldNumber(table, manifest.patient.key)
  const rows = await nthRows(repository, table, numbers)
  return { population, keys: rows.map((row) => Buffer.from(fieldOf(row, key))) }
}

/** Whether all that is the patient's is in the copy, and nothing else. */
async function isRetrieved(live: LiveRows, closure: Closure): Promise<boolean> {
  const found = await livePatient(live, closure)
  return closure.tables.every(({ table, rows }) => {
    return sameLines(rows, [...(found.get(table.name)?.rows.values() ?? [])].flat())
  })
}

/** Whether the same comes out of the copy as files, and is read back from these. */
async function isExported(live: LiveRows, closure: Closure): Promise<boolean> {
  const found = await livePatient(live, closure)
  const tables = closure.tables.map(({ table, found: how }) => {
    return { table, found: how, rows: [...(found.get(table.name)?.rows.values() ?? [])].flat() }
  })
  const files = exportRows(tables)
  return closure.tables
    .filter(({ rows }) => rows.length > 0)
    .every(({ rows }, index) => sameRecords(rows, files[2 * index]?.bytes ?? Buffer.of()))
}

function sameLines(a: readonly StoredRow[], b: readonly StoredRow[]): boolean {
  const sorted = (rows: readonly StoredRow[]) => rows.map(({ line }) => line.toString('latin1')).sort()
  const [left, right] = [sorted(a), sorted(b)]
  return left.length === right.length && left.every((line, index) => line === right[index])
}

/** Of a table's rows and the CSV file that was made of the copy's. */
function sameRecords(rows: readonly StoredRow[], file: Buffer): boolean {
  const [, ...records] = readCsv(file.toString('utf8'))
  const texts = rows.map((row) => JSON.stringify(row.table.columns.map((_, field) => textOf(row, field)))).sort()
  const read = records.map((record) => JSON.stringify(record)).sort()
  return texts.length === read.length && texts.every((text, index) => text === read[index])
}

async function countRows({ manifest, copy, rules, balance, signal }: DemonstrationRequest): Promise<Looked> {
  const tables = manifest.tables
  const counted = await countByMonth(
    copy,
    tables.map((table) => {
      const clock = clockColumn(table, rules)
      const { utcOffsetMinutes } = rules
      return { sqlName: table.sqlName, column: clock?.name ?? null, hasZone: clock?.hasZone ?? false, utcOffsetMinutes }
    }),
    signal,
  )
  const found = new Map<string, number>()
  const expected = new Map<string, number>()
  const add = (counts: Map<string, number>, id: string, rows: number) => counts.set(id, (counts.get(id) ?? 0) + rows)
  const clocked = new Set<string>()
  for (const [index, table] of tables.entries()) {
    const name = table.partitionOf ?? table.name
    if (clockColumn(table, rules)) clocked.add(name)
    for (const [month, rows] of counted[index]!) add(found, `${name} ${month}`, rows)
  }
  for (const { table, month, now } of balance) {
    if (now > 0) add(expected, `${table} ${clocked.has(table) ? month : '-'}`, now)
  }
  const cells = new Set([...found.keys(), ...expected.keys()])
  const failures = [...cells].filter((id) => found.get(id) !== expected.get(id)).length
  const names = tables.map(({ name }) => name)
  return { statement: 'count', draw: null, population: cells.size, sample: cells.size, failures, tables: names }
}
