/**
 * The mark on a database that is being rebuilt, as an extended property of the database; what in it is a user's; and the
 * clearing of one that carries the mark.
 */
import { Failure } from '../../errors.ts'
import type { Row, Session } from './connect.ts'
import { USER_SCHEMAS } from './ddl/tables.ts'
import { quoteName, quoteQualified, quoteText, shownName } from './quote.ts'

const MARK = 'chartkeep'

export async function readMark(session: Session): Promise<string | null> {
  const [row] = await session.query(
    `SELECT CONVERT(nvarchar(4000), value) AS mark FROM sys.extended_properties
       WHERE class = 0 AND name = ${quoteText(MARK)}`,
  )
  return row?.mark ?? null
}

export async function setMark(session: Session, mark: string | null): Promise<void> {
  if ((await readMark(session)) !== null) await session.query(`EXEC sys.sp_dropextendedproperty ${quoteText(MARK)}`)
  if (mark === null) return
  await session.query(`EXEC sys.sp_addextendedproperty ${quoteText(MARK)}, ${quoteText(mark)}`)
}

/** Up to three things that a user made, for people. */
export async function findObjects(session: Session): Promise<string[]> {
  const objects = (await session.query(OBJECTS)).map(
    (row) => `${KINDS[kindOf(row)]?.toLowerCase() ?? 'object'} ${shownName(row.schema_name ?? '', row.name ?? '')}`,
  )
  const types = (await session.query(TYPES)).map((row) => `type ${shownName(row.schema_name ?? '', row.name ?? '')}`)
  const schemas = (await session.query(SCHEMAS)).map((row) => `schema ${row.name}`)
  return [...objects, ...types, ...schemas].slice(0, 3)
}

/**
 * Foreign keys first, then whatever goes: what is bound to something else goes when that is gone, so that passes follow
 * each other until nothing is left.
 * @throws target-failed when a pass removes nothing
 */
export async function clearDatabase(session: Session): Promise<void> {
  for (const row of await session.query(FOREIGN_KEYS)) {
    const table = quoteQualified(row.schema_name ?? '', row.table_name ?? '')
    await session.query(`ALTER TABLE ${table} DROP CONSTRAINT ${quoteName(row.name ?? '')}`)
  }
  let left = await dropStatements(session)
  while (left.length > 0) {
    for (const statement of left) await session.query(statement).catch(() => {})
    const still = await dropStatements(session)
    if (still.length >= left.length) {
      throw new Failure('target-failed', `the unfinished restore cannot be cleared: ${still.length} objects stay`, {
        hints: ['Drop the database, make a new one, and restore into that.'],
      })
    }
    left = still
  }
}

async function dropStatements(session: Session): Promise<string[]> {
  const qualified = (row: Row) => quoteQualified(row.schema_name ?? '', row.name ?? '')
  const objects = (await session.query(OBJECTS)).flatMap((row) => {
    const kind = KINDS[kindOf(row)]
    return kind === undefined ? [] : [`DROP ${kind} ${qualified(row)}`]
  })
  const types = (await session.query(TYPES)).map((row) => `DROP TYPE ${qualified(row)}`)
  const schemas = (await session.query(SCHEMAS)).map((row) => `DROP SCHEMA ${quoteName(row.name ?? '')}`)
  return [...objects, ...types, ...schemas]
}

function kindOf(row: Row): string {
  return (row.type ?? '').trim()
}

const KINDS: Readonly<Record<string, string>> = {
  U: 'TABLE',
  V: 'VIEW',
  P: 'PROCEDURE',
  FN: 'FUNCTION',
  IF: 'FUNCTION',
  TF: 'FUNCTION',
  SO: 'SEQUENCE',
  SN: 'SYNONYM',
}

const OBJECTS = `
  SELECT s.name AS schema_name, o.name AS name, o.type AS type
  FROM sys.objects o JOIN sys.schemas s ON s.schema_id = o.schema_id
  WHERE o.is_ms_shipped = 0 AND o.type IN ('U', 'V', 'P', 'FN', 'IF', 'TF', 'SO', 'SN')
  ORDER BY o.object_id DESC`

const TYPES = `
  SELECT s.name AS schema_name, y.name AS name FROM sys.types y JOIN sys.schemas s ON s.schema_id = y.schema_id
  WHERE y.is_user_defined = 1 ORDER BY y.name`

const SCHEMAS = `SELECT s.name AS name FROM sys.schemas s WHERE ${USER_SCHEMAS} ORDER BY s.name`

const FOREIGN_KEYS = `
  SELECT s.name AS schema_name, t.name AS table_name, f.name AS name
  FROM sys.foreign_keys f JOIN sys.tables t ON t.object_id = f.parent_object_id
    JOIN sys.schemas s ON s.schema_id = t.schema_id`
