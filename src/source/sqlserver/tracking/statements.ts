/** The statements that only a server with Change Tracking understands, and those beside them. */
import { Failure } from '../../../errors.ts'
import type { CatalogTable } from '../introspect.ts'
import { quoteName, quoteText } from '../quote.ts'
import { bentCondition, textForm } from '../row-text.ts'
import { SEEN_TABLE } from './questions.ts'

/** Longer than any retention of changes that makes sense: a token that went is a database to be read in full. */
const TOKENS_KEPT_DAYS = 400

export function leaveStatement(token: string): string {
  return `DELETE FROM ${SEEN_TABLE} WHERE seen_at < DATEADD(day, -${TOKENS_KEPT_DAYS}, SYSUTCDATETIME());
    INSERT INTO ${SEEN_TABLE} (token, seen_at) VALUES (${quoteText(token)}, SYSUTCDATETIME())`
}

/** "CHANGETABLE", example A: of a row, the version of its last change. No row of ours: no row. */
export function reachedStatement(token: string): string {
  return `SELECT CONVERT(nvarchar(20), v.SYS_CHANGE_VERSION) AS version FROM ${SEEN_TABLE} AS s
    CROSS APPLY CHANGETABLE(VERSION ${SEEN_TABLE}, (token), (s.token)) AS v WHERE s.token = ${quoteText(token)}`
}

export function minValidStatement({ info }: CatalogTable): string {
  const id = `OBJECT_ID(${quoteText(info.sqlName)})`
  return `SELECT CONVERT(nvarchar(20), CHANGE_TRACKING_MIN_VALID_VERSION(${id})) AS version`
}

export function countStatement({ info }: CatalogTable): string {
  return `SELECT CONVERT(nvarchar(20), COUNT_BIG(*)) AS count FROM ${info.sqlName}`
}

/**
 * Whether the row's text survives; whether there is none; the key that changed; the row. "CHANGETABLE", example C: a left
 * join, so that keys of deleted rows come, too. Keys are compared as the database does; both spellings of one come out.
 * @param changes what the keys are taken from, for tests
 */
export function changesStatement(table: CatalogTable, since: bigint, changes = changeTable(table)): string {
  const { info, captured } = table
  const key = info.primaryKey.map((name) => captured.find((column) => column.name === name)!)
  const from = key.map(({ name }, index) => `ck_changes.${quoteName(name)} AS ck_key${index}`)
  const equal = key.map(({ name }, index) => `ck_row.${quoteName(name)} = ck_keys.ck_key${index}`)
  const condition = bentCondition(captured)
  const fields = [
    condition === null ? "N'0'" : `CASE WHEN ${condition} THEN N'1' ELSE N'0' END`,
    `CASE WHEN ck_row.${quoteName(key[0]!.name)} IS NULL THEN N'1' ELSE N'0' END`,
    ...key.map((column, index) => readable(table, column).read(`ck_keys.ck_key${index}`)),
    ...captured.map((column) => readable(table, column).read(quoteName(column.name))),
  ]
  return `DECLARE @since bigint = ${since};
    SELECT ${fields.join(', ')} FROM (SELECT ${from.join(', ')} FROM ${changes} AS ck_changes) AS ck_keys
    LEFT OUTER JOIN ${info.sqlName} AS ck_row ON ${equal.join(' AND ')}`
}

function changeTable({ info }: CatalogTable): string {
  return `CHANGETABLE(CHANGES ${info.sqlName}, @since)`
}

function readable({ info }: CatalogTable, { type }: CatalogTable['captured'][number]) {
  const form = textForm(type)
  if (form === null) throw new Failure('defect', `${info.name} was found readable`)
  return form
}
