/** Patients by what people know of them: key, record number, name. As of a moment, so that one who is gone is found too. */
import { Failure } from '../../errors.ts'
import type { TableManifest } from '../../repository/manifest.ts'
import { fieldNumber, tablesNamed } from './references.ts'
import { fieldOf, isNull, type StoredRow } from './stored-row.ts'
import type { StoredRows } from './stored-rows.ts'

export interface FoundPatient {
  /** As a field of a line. */
  readonly key: Buffer
  /** Values of the label columns, as fields; null where NULL. */
  readonly label: readonly (Buffer | null)[]
}

export interface FoundPatients {
  readonly labelColumns: readonly string[]
  readonly patients: readonly FoundPatient[]
  /** There are more than `patientsMax`. */
  readonly more: boolean
}

/**
 * Those whose key is `text`, or of whose labels one contains it.
 * @throws bad-configuration when the source has no patients; repository-damaged, store-…
 */
export async function findPatients(stored: StoredRows, text: string, patientsMax: number): Promise<FoundPatients> {
  const { patient, sourceName } = stored.manifest
  if (!patient) throw new Failure('bad-configuration', `source ${sourceName} has no patient table in its configuration`)
  const patients: FoundPatient[] = []
  const wanted = Buffer.from(text)
  for (const table of tablesNamed(stored.manifest, patient.table)) {
    const columns = labelFields(table, [patient.key, ...patient.label])
    for await (const row of stored.all(table)) {
      if (!fits(row, columns, wanted)) continue
      if (patients.length === patientsMax) return { labelColumns: patient.label, patients, more: true }
      const [key, ...label] = columns.map((field) => Buffer.from(fieldOf(row, field)))
      patients.push({ key: key!, label: label.map((field) => (isNull(field) ? null : field)) })
    }
  }
  return { labelColumns: patient.label, patients, more: false }
}

function fits(row: StoredRow, [key, ...labels]: readonly number[], wanted: Buffer): boolean {
  return fieldOf(row, key!).equals(wanted) || labels.some((field) => fieldOf(row, field).includes(wanted))
}

function labelFields(table: TableManifest, columns: readonly string[]): number[] {
  return columns.map((column) => {
    const field = fieldNumber(table, column)
    if (field >= 0) return field
    throw new Failure('bad-configuration', `table ${table.name} has no column ${column}`, {
      hints: ['Correct `patient` in the configuration.'],
    })
  })
}
