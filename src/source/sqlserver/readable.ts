/**
 * Whether a login sees the rows as they are. A table that hides rows or shows other values in their place reads without an
 * error: a backup of it would be quietly wrong, so it is refused.
 */
import { Failure } from '../../errors.ts'
import type { Session } from './connect.ts'
import { errorNumber } from './failures.ts'
import type { CatalogTable } from './introspect.ts'
import { quoteText } from './quote.ts'
import { textForm } from './row-text.ts'

const NAMES_SHOWN = 5

/** @throws missing-rights, rows-hidden, not-available */
export async function assertReadable(session: Session, tables: readonly CatalogTable[]): Promise<void> {
  const forbidden: string[] = []
  for (const table of tables) {
    if (!(await mayRead(session, table))) forbidden.push(table.info.name)
  }
  refuse(forbidden, (names) => new Failure('missing-rights', `no right to read table ${names}`, { hints: [RIGHTS] }))
  const { filtered, masked } = await hiddenTables(session, tables)
  refuse(
    filtered,
    (names) => new Failure('rows-hidden', `a security policy filters rows of ${names}`, { hints: [RLS] }),
  )
  refuse(masked, (names) => new Failure('rows-hidden', `values of ${names} are masked`, { hints: [UNMASK] }))
  assertKnownTypes(tables)
}

/** Tables whose rows or values this login does not see as they are. */
export async function hiddenTables(
  session: Session,
  tables: readonly CatalogTable[],
): Promise<{ readonly filtered: readonly string[]; readonly masked: readonly string[] }> {
  const ids = new Set(tables.map(({ info }) => info.oid))
  return {
    filtered: await namesOf(session, ids, tables, FILTERED),
    masked: await namesOf(session, ids, tables, MASKED),
  }
}

export async function mayRead(session: Session, { info }: CatalogTable): Promise<boolean> {
  const [row] = await session.query(
    `SELECT HAS_PERMS_BY_NAME(${quoteText(info.sqlName)}, 'OBJECT', 'SELECT') AS readable`,
  )
  return row?.readable !== '0'
}

/** A table that cannot be read exactly is named before anything is read. */
function assertKnownTypes(tables: readonly CatalogTable[]): void {
  const unknown = tables.flatMap(({ info, captured }) =>
    captured
      .filter(({ type }) => textForm(type) === null)
      .map(({ name, type }) => `${info.name}.${name} (${type.base})`),
  )
  refuse(
    unknown,
    (names) =>
      new Failure('not-available', `columns of SQL Server that are not read yet: ${names}`, {
        hints: ['Exclude the table in the configuration: it is then listed as not captured.'],
      }),
  )
  const bare = tables.filter(({ captured }) => captured.length === 0).map(({ info }) => info.name)
  refuse(
    bare,
    (names) =>
      new Failure('not-available', `no column that could be kept: table ${names}`, {
        hints: ['Exclude the table in the configuration.'],
      }),
  )
}

/** How many rows a catalog view has, or null where this server cannot be asked so. */
export async function countIn(session: Session, view: string, where: string): Promise<number | null> {
  if (!(await hasCatalogView(session, view))) return 0
  try {
    const [row] = await session.query(`SELECT COUNT(*) AS count FROM ${view} WHERE ${where}`)
    return Number(row?.count ?? 0)
  } catch (error) {
    if (errorNumber(error) === undefined) throw error
    return null
  }
}

/** Views differ between versions, and a statement that names one that is not there does not even begin. */
export async function hasCatalogView(session: Session, name: string): Promise<boolean> {
  const [row] = await session.query(`SELECT OBJECT_ID(${quoteText(name)}) AS id`)
  return row?.id !== null && row?.id !== undefined
}

interface HiddenKind {
  readonly view: string
  readonly sql: string
}

const FILTERED: HiddenKind = {
  view: 'sys.security_predicates',
  sql: `SELECT CONVERT(nvarchar(20), p.target_object_id) AS object_id FROM sys.security_predicates p
    JOIN sys.security_policies o ON o.object_id = p.object_id
    WHERE o.is_enabled = 1 AND p.predicate_type_desc = 'FILTER'`,
}

const MASKED: HiddenKind = {
  view: 'sys.masked_columns',
  sql: `SELECT CONVERT(nvarchar(20), m.object_id) AS object_id FROM sys.masked_columns m
    WHERE m.is_masked = 1 AND HAS_PERMS_BY_NAME(NULL, 'DATABASE', 'UNMASK') = 0`,
}

async function namesOf(
  session: Session,
  ids: ReadonlySet<string>,
  tables: readonly CatalogTable[],
  { view, sql }: HiddenKind,
): Promise<string[]> {
  if (!(await hasCatalogView(session, view))) return []
  const found = new Set((await session.query(sql)).map((row) => row.object_id ?? '').filter((id) => ids.has(id)))
  return tables.filter(({ info }) => found.has(info.oid)).map(({ info }) => info.name)
}

export function refuse(names: readonly string[], failure: (names: string) => Failure): void {
  if (names.length === 0) return
  const more = names.length > NAMES_SHOWN ? ` and ${names.length - NAMES_SHOWN} more` : ''
  throw failure(`${names.slice(0, NAMES_SHOWN).join(', ')}${more}`)
}

const RIGHTS = 'Let the administrator run: GRANT SELECT, VIEW DEFINITION ON DATABASE to the user of this login.'
const RLS = 'Filter predicates hold for everybody: let the policy pass this user in its own function.'
const UNMASK = 'Let the administrator run: GRANT UNMASK to the user of this login.'
