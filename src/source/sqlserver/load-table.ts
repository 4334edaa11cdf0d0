/**
 * Rows into one table of the database being rebuilt, in one transaction: bulk load into a table of tempdb that has the
 * fields as text and bytes, and from there by the conversions that undo those of reading. What does not convert ends the
 * load; nothing is cut or rounded in silence.
 *
 * Keys, constraints and triggers do not exist yet. Identity columns take the values of the lines.
 */
import type { Connection } from 'tedious'
import { TYPES } from 'tedious'
import { Failure } from '../../errors.ts'
import type { LoadTable } from '../contract.ts'
import { connect, type Session } from './connect.ts'
import { bytesOf, fieldsOf } from './copy-line.ts'
import { toSqlServerFailure } from './failures.ts'
import { type CatalogColumn, isOwnValue, readColumns } from './introspect.ts'
import { quoteName } from './quote.ts'
import { type TextForm, textForm } from './row-text.ts'

const STAGING = '#chartkeep_rows'
/** Text of one batch: what the server sorts into tempdb and converts at once. */
const BATCH_BYTES = 4 * 1024 * 1024
const NEWLINE = 0x0a

/** @throws target-failed, missing-rights, source-unreachable */
export const loadTable: LoadTable = async (connection, table, lines, signal) => {
  signal.throwIfAborted()
  const session = await connect(connection, 'target')
  const stop = () => session.destroy()
  signal.addEventListener('abort', stop, { once: true })
  try {
    signal.throwIfAborted()
    const columns = columnsOf(await readColumns(session, table.sqlName), table)
    const isIdentity = columns.some((column) => column.catalog.isIdentity)
    await session.query(createStaging(columns))
    await session.query('BEGIN TRANSACTION')
    if (isIdentity) await session.query(`SET IDENTITY_INSERT ${table.sqlName} ON`)
    let stored = 0
    for await (const batch of batchesOf(lines)) {
      await bulkLoad(session.connection, columns, batch)
      stored += await moveRows(session, table.sqlName, columns)
    }
    if (isIdentity) await session.query(`SET IDENTITY_INSERT ${table.sqlName} OFF`)
    await session.query('COMMIT TRANSACTION')
    return stored
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw toSqlServerFailure(error, { doing: `loading ${table.sqlName}`, side: 'target' })
  } finally {
    signal.removeEventListener('abort', stop)
    session.destroy()
  }
}

interface LoadColumn {
  readonly catalog: CatalogColumn
  readonly form: TextForm
  /** In the staging table. */
  readonly staged: string
}

function columnsOf(present: readonly CatalogColumn[], wanted: Parameters<LoadTable>[1]): LoadColumn[] {
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
  await session.query(`TRUNCATE TABLE ${STAGING}`)
  return Number(row?.stored ?? 0)
}

/** Whole lines, without their newline. */
async function* batchesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string[]> {
  let rest: Buffer = Buffer.alloc(0)
  let batch: string[] = []
  let bytes = 0
  for await (const chunk of chunks) {
    const text = Buffer.concat([rest, chunk])
    let start = 0
    for (let end = text.indexOf(NEWLINE); end >= 0; end = text.indexOf(NEWLINE, start)) {
      batch.push(text.toString('utf8', start, end))
      bytes += end - start
      start = end + 1
    }
    rest = text.subarray(start)
    if (bytes < BATCH_BYTES) continue
    yield batch
    batch = []
    bytes = 0
  }
  if (batch.length > 0) yield batch
  if (rest.length > 0) throw new Failure('defect', 'the last line of a table has no end')
}
