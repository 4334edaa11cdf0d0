/**
 * What a repair may do and must do, said without chartkeep: from every row as it was then, as it was before the repair
 * and as it is behind it. A row that was left as it is must have a reason that the database itself confirms: somebody
 * else has it now, or writing it back is refused.
 */
import type { Policy } from '../../../../src/restore/patient/plan.ts'
import { differing, type Seen, type SeenRow } from './rows.ts'

export interface Repair {
  readonly patient: string
  readonly policy: Policy
  readonly past: Seen
  readonly before: Seen
  readonly after: Seen
  readonly isSelected: (row: SeenRow) => boolean
  readonly isTouched: (row: SeenRow) => boolean
}

/** Writes that nobody asked for: none may be found. */
export function unwanted(repair: Repair): string[] {
  const { before, after, past, isTouched } = repair
  return differing(before, after).flatMap((id) => {
    const rows = { past: past.get(id), before: before.get(id), after: after.get(id) }
    if (isTouched((rows.after ?? rows.before)!)) return []
    const wrong = rows.after ? wrongWrite(repair, rows) : wrongDeletion(repair, rows)
    return wrong === null ? [] : [`${tableOf(rows)}: ${wrong}`]
  })
}

interface Sides {
  readonly past: SeenRow | undefined
  readonly before: SeenRow | undefined
  readonly after: SeenRow | undefined
}

function tableOf({ before, after }: Sides): string {
  return (after ?? before)!.table.name
}

function wrongWrite({ patient, policy, isSelected }: Repair, { past, before, after }: Sides): string | null {
  if (!past) return 'a row was written that was not there then'
  if (past.owner !== patient) return "somebody else's row was written"
  if (past.compared !== after!.compared) return 'a row was made what it never was'
  if (!isSelected(past)) return 'a row was written that was not selected'
  if (!before) return null
  if (policy === 'missing') return 'a row that is there was changed under `missing`'
  return isTheirs(before, patient) ? null : "a row was changed that is somebody else's now"
}

function wrongDeletion({ patient, policy, isSelected }: Repair, { past, before }: Sides): string | null {
  if (policy !== 'exact') return `a row was taken out under \`${policy}\``
  if (past) return 'a row was taken out that was there then'
  if (before!.table.key.length === 0) return 'one of equal rows was taken out'
  if (!isSelected(before!)) return 'a row was taken out that was not selected'
  return isTheirs(before!, patient) ? null : "somebody else's row was taken out"
}

/** Rows whose parent is gone, and that no key keeps from it, are nobody's now. */
function isTheirs({ owner }: SeenRow, patient: string): boolean {
  return owner === patient || owner === null
}

export interface LeftRow {
  readonly row: SeenRow
  readonly before: SeenRow | undefined
}

/** Rows of then that are not as they were, though the policy would have them so. */
export function leftOut({ patient, policy, past, before, after, isSelected, isTouched }: Repair): LeftRow[] {
  return [...past].flatMap(([id, row]) => {
    const is = before.get(id)
    const isMeant = row.owner === patient && isSelected(row) && !isTouched(row) && !(policy === 'missing' && is)
    return isMeant && after.get(id)?.compared !== row.compared ? [{ row, before: is }] : []
  })
}

/** Rows of now that were not there then, and are still there under `exact`. */
export function leftIn({ patient, policy, past, before, after, isSelected, isTouched }: Repair): LeftRow[] {
  if (policy !== 'exact') return []
  return [...before].flatMap(([id, row]) => {
    const isMeant = row.owner === patient && !past.has(id) && isSelected(row) && !isTouched(row)
    return isMeant && row.table.key.length > 0 && after.has(id) ? [{ row, before: row }] : []
  })
}
