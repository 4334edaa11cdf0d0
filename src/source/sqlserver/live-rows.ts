/**
 * Rows of one patient out of the live database: one transaction under SNAPSHOT isolation, which waits for nobody and whom
 * nobody waits for. Catalogs are read before it begins (introspect.ts).
 */
import { Failure } from '../../errors.ts'
import type { ConnectionSettings } from '../contract.ts'
import type { LiveRows, LiveRowsOptions, RowQuery } from '../row-contract.ts'
import { connect, type Field, type Session } from './connect.ts'
import { lineOf } from './copy-line.ts'
import { toSqlServerFailure } from './failures.ts'
import { readIdentity } from './identity.ts'
import { type CatalogColumn, type CatalogTable, describe, readTables } from './introspect.ts'
import { keysAmong } from './key-condition.ts'
import { beginSnapshot } from './read.ts'
import { BENT, selectStatement, untranslatable } from './read-table.ts'
import { assertReadable, mayRead } from './readable.ts'

/** Keys in one statement: the server compiles each list anew, and slowly when it is long. */
const VALUES_AT_ONCE = 500

/** @throws source-unreachable, source-login-refused, missing-rights, setting-not-pinned */
export async function openLiveRows(settings: ConnectionSettings, options: LiveRowsOptions): Promise<LiveRows> {
  options.signal.throwIfAborted()
  const session = await connect(settings, 'source')
  const stop = () => session.destroy()
  options.signal.addEventListener('abort', stop, { once: true })
  const close = async () => {
    options.signal.removeEventListener('abort', stop)
    await session[Symbol.asyncDispose]()
  }
  try {
    const identity = await readIdentity(session)
    const tables = await readTables(session)
    const schema = await describe(session, tables)
    const position = await beginSnapshot(session, await firstReadable(session, tables), options.lockTimeoutMs)
    const rows = async (query: RowQuery) => await readRows(session, tables, query)
    return { identity, position, schema, rows, [Symbol.asyncDispose]: close }
  } catch (error) {
    await close()
    if (options.signal.aborted) throw options.signal.reason
    throw toSqlServerFailure(error, { doing: 'looking at the live database', side: 'source' })
  }
}

async function firstReadable(session: Session, tables: readonly CatalogTable[]): Promise<CatalogTable[]> {
  for (const table of tables) if (await mayRead(session, table)) return [table]
  return []
}

/** Also of a session that writes. @param tables as `readTables` gave them */
export async function readRows(session: Session, tables: readonly CatalogTable[], query: RowQuery): Promise<Buffer[]> {
  try {
    const table = tables.find(({ info }) => info.name === query.table.name)
    if (!table) throw schemaChanged(query.table.name, 'is not there')
    await assertReadable(session, [table])
    const values = query.where.values.slice()
    if (values.length === 0) return []
    const where = named(table, query.where.columns)
    const key = table.info.primaryKey
    // Without a key nothing tells a row that comes twice from two rows: then all is asked at once.
    const part = key.length === 0 ? values.length : VALUES_AT_ONCE
    const found = new Map<string, Buffer>()
    const spelled = new Spelling(where, values)
    for (let start = 0; start < values.length; start += part) {
      const condition = keysAmong('ck_row', where, values.slice(start, start + part))
      const asked = [...key, ...spelled.columns.map(({ name }) => name)]
      for await (const fields of select(session, table, [...asked, ...query.columns], condition)) {
        spelled.check(table, fields.slice(key.length, asked.length))
        const line = asLine(table, fields.slice(asked.length))
        found.set(key.length === 0 ? String(found.size) : String(lineOf(fields.slice(0, key.length))), line)
      }
    }
    return [...found.values()]
  } catch (error) {
    throw toSqlServerFailure(error, { doing: `reading rows of ${query.table.name}`, side: 'source' })
  }
}

async function* select(
  session: Session,
  table: CatalogTable,
  columns: readonly string[],
  condition: string,
): AsyncGenerator<readonly Field[]> {
  const statement = selectStatement({ ...table, captured: named(table, columns) })
  for await (const [bent, ...fields] of session.rows(`${statement} ck_row WHERE ${condition}`)) {
    if (bent === BENT) throw untranslatable(table.info.name, 'bytes that its code page has no character for')
    yield fields
  }
}

/**
 * What a collation takes for equal (`a` and `A`, `a` and `a␠`) is told apart by the repository, which compares text: the
 * past of one spelling held against the live rows of both would call rows of this patient nobody's.
 */
class Spelling {
  readonly columns: readonly CatalogColumn[]
  readonly #known: readonly ReadonlySet<string>[]

  constructor(where: readonly CatalogColumn[], values: readonly (readonly Uint8Array[])[]) {
    const positions = where.flatMap(({ type }, position) => (ignoresSpelling(type.collation) ? [position] : []))
    this.columns = positions.map((position) => where[position]!)
    this.#known = positions.map(
      (position) => new Set(values.map((key) => Buffer.from(key[position]!).toString('utf8'))),
    )
  }

  /** @throws not-available */
  check({ info }: CatalogTable, fields: readonly Field[]): void {
    for (const [index, { name }] of this.columns.entries()) {
      if (this.#known[index]!.has(String(lineOf([fields[index]!])).slice(0, -1))) continue
      throw new Failure(
        'not-available',
        `${info.name}.${name} spells one key in several ways, which its collation takes for equal and a backup does not`,
        { context: { table: info.name }, hints: ['Have the spelling made one, then make a new plan.'] },
      )
    }
  }
}

function ignoresSpelling(collation: string | null): boolean {
  return collation !== null && !/_BIN2?$/.test(collation)
}

function asLine({ info }: CatalogTable, fields: readonly Field[]): Buffer {
  const line = lineOf(fields)
  if (typeof line !== 'string') throw untranslatable(info.name, 'half of a surrogate pair')
  return Buffer.from(line.slice(0, -1))
}

export function named({ info, captured }: CatalogTable, columns: readonly string[]): CatalogColumn[] {
  return columns.map((name) => {
    const column = captured.find((known) => known.name === name)
    if (column) return column
    throw schemaChanged(info.name, `has no column ${name} any more`)
  })
}

function schemaChanged(table: string, what: string): Failure {
  return new Failure('schema-changed', `table ${table} ${what}`, { context: { table } })
}
