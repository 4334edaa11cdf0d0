/**
 * Lines into one table by way of a table of tempdb, which holds their fields as text and bytes: bulk load fills it, and
 * the server makes values of them by the conversions that undo those of reading. What does not convert is an error;
 * nothing is cut or rounded in silence.
 */
import type { Connection } from 'tedious'
import { TYPES } from 'tedious'
import { Failure } from '../../errors.ts'
import type { Session } from './connect.ts'
import { bytesOf, fieldsOf } from './copy-line.ts'
import { type CatalogColumn, isOwnValue, readColumns } from './introspect.ts'
import { quoteName } from './quote.ts'
import { type TextForm, textForm } from './row-text.ts'

export const STAGING = '#chartkeep_rows'

/** A table and the columns whose fields the lines have. */
export interface StagedTable {
  readonly sqlName: string
  readonly columns: readonly string[]
}

export interface Staging {
  /** Of the fields, in their order. */
  readonly columns: readonly LoadColumn[]
  /** @param lines without their newline */
  fill(lines: readonly string[]): Promise<void>
  empty(): Promise<void>
}

/** One at a time in a session. */
export async function withStaging<T>(
  session: Session,
  table: StagedTable,
  work: (staging: Staging) => Promise<T>,
): Promise<T> {
  const columns = columnsOf(await readColumns(session, table.sqlName), table)
  await session.query(createStaging(columns))
  const result = await work({
    columns,
    fill: async (lines) => await bulkLoad(session.connection, columns, lines),
    empty: async () => void (await session.query(`TRUNCATE TABLE ${STAGING}`)),
  })
  await session.query(`DROP TABLE ${STAGING}`)
  return result
}

/**
 * Identity columns take the values of the lines.
 * @returns rows that were stored
 */
export async function insertLines(
  session: Session,
  table: StagedTable,
  feed: (store: (lines: readonly string[]) => Promise<void>) => Promise<void>,
): Promise<number> {
  return await withStaging(session, table, async (staging) => {
    const isIdentity = staging.columns.some(({ catalog }) => catalog.isIdentity)
    let stored = 0
    if (isIdentity) await session.query(`SET IDENTITY_INSERT ${table.sqlName} ON`)
    await feed(async (lines) => {
      await staging.fill(lines)
      stored += await moveRows(session, table.sqlName, staging.columns)
      await staging.empty()
    })
    if (isIdentity) await session.query(`SET IDENTITY_INSERT ${table.sqlName} OFF`)
    return stored
  })
}

export interface LoadColumn {
  readonly catalog: CatalogColumn
  readonly form: TextForm
  /** In the staging table. */
  readonly staged: string
}

function columnsOf(present: readonly CatalogColumn[], wanted: StagedTable): LoadColumn[] {
  return wanted.columns.map((name, position) => {
    const catalog = present.find((column) => column.name === name && !isOwnValue(column))
    const form = catalog ? textForm(catalog.type) : null
    if (!catalog || !form)
      throw new Failure('target-failed', `the target has no column ${wanted.sqlName}.${name} of a known type`)
    return { catalog, form, staged: `f${position}` }
  })
}

/** Text has the collation of its column, so that what becomes varchar becomes so in that code page. */
function createStaging(columns: readonly LoadColumn[]): string {
  const declared = columns.map(({ catalog, form, staged }) => {
    if (form.carrier === 'bytes') return `${staged} varbinary(max) NULL`
    const { collation } = catalog.type
    return `${staged} nvarchar(max)${collation === null ? '' : ` COLLATE ${collation}`} NULL`
  })
  return `CREATE TABLE ${STAGING} (${declared.join(', ')})`
}

type StagedRow = (string | Buffer | null)[]

async function bulkLoad(
  connection: Connection,
  columns: readonly LoadColumn[],
  lines: readonly string[],
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const bulk = connection.newBulkLoad(STAGING, { keepNulls: true }, (error) => (error ? reject(error) : resolve()))
    for (const { staged, form } of columns) {
      const type = form.carrier === 'bytes' ? TYPES.VarBinary : TYPES.NVarChar
      bulk.addColumn(staged, type, { length: Number.POSITIVE_INFINITY, nullable: true })
    }
    connection.execBulkLoad(bulk, stagedRows(columns, lines))
  })
}

function* stagedRows(columns: readonly LoadColumn[], lines: readonly string[]): Generator<StagedRow> {
  for (const line of lines) {
    const fields = fieldsOf(line)
    yield columns.map(({ form }, position) => {
      const field = fields[position] ?? null
      return field !== null && form.carrier === 'bytes' ? bytesOf(field) : field
    })
  }
}

async function moveRows(session: Session, sqlName: string, columns: readonly LoadColumn[]): Promise<number> {
  const names = columns.map(({ catalog }) => quoteName(catalog.name)).join(', ')
  const values = columns.map(({ form, staged }) => form.write(staged)).join(', ')
  const [row] = await session.query(
    `INSERT INTO ${sqlName} (${names}) SELECT ${values} FROM ${STAGING}; SELECT @@ROWCOUNT AS stored`,
  )
  return Number(row?.stored ?? 0)
}
