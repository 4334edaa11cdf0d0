/** The sealed part of a plan: whose it is, and the lines of its rows. Only an open repository reads it. */
import { z } from 'zod'
import { canonicalBytes, parseCanonical } from '../../repository/canonical-json.ts'
import type { Repository } from '../../repository/repository.ts'
import { OBJECT_TYPES, openObject, sealObject } from '../../repository/sealed-object.ts'
import { packLines, unpackLines } from './packed-lines.ts'

/** Lines of the rows that differ, table by table and group by group, as `packLines` has them. */
const planValuesSchema = z.strictObject({
  patient: z.string(),
  otherPatient: z.string().optional(),
  tables: z.array(z.strictObject({ past: z.string(), present: z.string() })),
})

type Line = Buffer | null

export interface TableValues {
  readonly past: readonly Line[]
  readonly present: readonly Line[]
}

export interface PlanValues {
  /** Keys as fields of a line: one, or the two of a merge. */
  readonly patients: readonly Buffer[]
  readonly tables: readonly TableValues[]
}

/** @param salt 16 random bytes @returns base64 */
export function sealValues(
  { keyring }: Repository,
  { patients, tables }: PlanValues,
  { planId, salt }: { readonly planId: string; readonly salt: Uint8Array },
): string {
  const [patient, otherPatient] = patients
  const values = {
    patient: patient!.toString('latin1'),
    ...(otherPatient && { otherPatient: otherPatient.toString('latin1') }),
    tables: tables.map(({ past, present }) => ({ past: packLines(past), present: packLines(present) })),
  }
  const request = { type: OBJECT_TYPES.plan, name: sealedName(planId), key: keyring.currentDataKey, salt }
  return Buffer.from(sealObject(canonicalBytes(values), request)).toString('base64')
}

export interface SealedValues {
  readonly planId: string
  readonly sealed: string
  /** Rows of each table. */
  readonly rowCounts: readonly number[]
}

/** @returns null where they are not a plan's, or not of so many rows. @throws repository-damaged, wrong-key */
export function openValues({ keyring }: Repository, { planId, sealed, rowCounts }: SealedValues): PlanValues | null {
  const name = sealedName(planId)
  const bytes = openObject(Buffer.from(sealed, 'base64'), { type: OBJECT_TYPES.plan, name }, keyring.dataKey)
  const values = planValuesSchema.safeParse(parseCanonical(bytes, name))
  if (!values.success || values.data.tables.length !== rowCounts.length) return null
  const { patient, otherPatient, tables } = values.data
  const keys = otherPatient === undefined ? [patient] : [patient, otherPatient]
  return {
    patients: keys.map((key) => Buffer.from(key, 'latin1')),
    tables: tables.map(({ past, present }, index) => ({
      past: unpackLines(past, rowCounts[index]!, name),
      present: unpackLines(present, rowCounts[index]!, name),
    })),
  }
}

function sealedName(planId: string): string {
  return `plans/${planId}`
}
