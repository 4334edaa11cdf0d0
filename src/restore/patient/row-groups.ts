/** The rows of a plan's table in groups: what is the same of fifty thousand is said once. */
import type { ContentRow } from './plan-document.ts'

/** Rows that are alike, in the order in which the first of each comes. */
export function groupsOf(rows: readonly ContentRow[]): ContentRow[][] {
  const groups = new Map<string, ContentRow[]>()
  // Most rows are as the one before.
  let last: ContentRow[] = []
  for (const row of rows) {
    if (last[0] === undefined || !isPlainly(row, last[0])) {
      const kind = JSON.stringify([row.status, row.action, row.changed, row.cause, row.goesTo?.toString('latin1')])
      last = groups.get(kind) ?? []
      groups.set(kind, last)
    }
    last.push(row)
  }
  return [...groups.values()]
}

/** Alike, with nothing more to say of either than what they are. */
function isPlainly(row: ContentRow, other: ContentRow): boolean {
  return isPlain(row) && isPlain(other) && row.status === other.status && row.action === other.action
}

function isPlain({ changed, cause, goesTo }: ContentRow): boolean {
  return changed.length === 0 && cause === null && goesTo === undefined
}
