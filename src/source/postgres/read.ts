/**
 * All tables as of one position.
 *
 *     keeper   LOCK TABLE … ACCESS SHARE ──→ snapshot exported ──→ catalogs, DDL ──→ held until disposal
 *     workers                                 └──→ SET TRANSACTION SNAPSHOT, verify, COPY       (read-table.ts)
 *     watcher  every 50 ms: does anybody wait for one of us? ──→ yield: end all of them at once  (watcher.ts)
 *
 * Locks come first and the snapshot second (P4): a table that is truncated, rewritten or dropped between a snapshot and
 * its lock reads as empty, without an error. `LOCK TABLE` takes no snapshot of its own, so the first query after it is
 * the one that decides what is seen; what the locks stand on is compared with what the snapshot sees.
 *
 * Sessions of one read share a name of their own (application_name), by which the watcher finds them on the server:
 * those of other threads and pg_dump included.
 */
import { randomBytes } from 'node:crypto'
import { Failure } from '../../errors.ts'
import type {
  ConnectionSettings,
  ConsistentRead,
  ReadOptions,
  ReadPosition,
  ReadTicket,
  SchemaDdl,
  SchemaInfo,
  SourceIdentity,
  TableTicket,
} from '../contract.ts'
import { shownName, statementName, USER_SCHEMA, USER_TABLE } from './catalog.ts'
import { connect, type Row, type Session } from './connect.ts'
import { readSchemaDdl } from './ddl.ts'
import { ROWS_HIDDEN_HINT, toPostgresFailure } from './failures.ts'
import { readIdentity } from './identity.ts'
import { introspect } from './introspect.ts'
import { withApplicationName } from './url.ts'
import { startWatcher, type Watcher } from './watcher.ts'

const TABLES_PER_LOCK_STATEMENT = 500
const NAMES_SHOWN = 5

/**
 * @throws object-missing-in-source, missing-rights, rows-hidden, yielded-to-application, schema-changed
 */
export async function openConsistentRead(
  connection: ConnectionSettings,
  { tables, signal, lockTimeoutMs }: ReadOptions,
): Promise<ConsistentRead> {
  signal.throwIfAborted()
  const group = `chartkeep-${randomBytes(9).toString('base64url')}`
  const grouped = { ...connection, url: withApplicationName(connection.url, group) }
  const opened = new AsyncDisposableStack()
  try {
    const watcher = opened.use(await startWatcher(connection, group))
    const keeper = opened.use(await connect(grouped, 'read'))
    const endOnAbort = () => watcher.endGroup()
    signal.addEventListener('abort', endOnAbort, { once: true })
    try {
      const read = await takeRead({ keeper, watcher, tables, lockTimeoutMs, ticketConnection: grouped })
      return assemble(read, { keeper, watcher, grouped, lockTimeoutMs, opened: opened.move() })
    } finally {
      signal.removeEventListener('abort', endOnAbort)
    }
  } catch (error) {
    await opened.disposeAsync()
    if (signal.aborted) throw signal.reason
    throw error
  }
}

interface ReadWork {
  readonly keeper: Session
  readonly watcher: Watcher
  readonly tables: readonly string[]
  readonly lockTimeoutMs: number
  readonly ticketConnection: ConnectionSettings
}

interface TakenRead {
  readonly identity: SourceIdentity
  readonly position: ReadPosition
  readonly ticket: ReadTicket
  readonly schema: SchemaInfo
  readonly visibleTables: ConsistentRead['visibleTables']
  readonly tableTickets: readonly TableTicket[]
}

async function takeRead(work: ReadWork): Promise<TakenRead> {
  const { keeper, watcher } = work
  try {
    const identity = await readIdentity(keeper)
    await lockTables(work)
    const { snapshot, position } = await takeSnapshot(keeper)
    const storage = await readLocked(keeper, work.tables)
    const schema = await introspect(keeper, { oids: storage.map((row) => row.oid ?? ''), sizes: 'measured' })
    return {
      identity,
      position,
      ticket: { engine: 'postgresql', connection: work.ticketConnection, snapshot, encoding: identity.encoding },
      schema,
      visibleTables: await readVisibleTables(keeper),
      tableTickets: tableTickets(schema, storage),
    }
  } catch (error) {
    if (watcher.yielded.aborted) throw watcher.yielded.reason
    throw toPostgresFailure(error, { doing: 'taking a consistent read', side: 'source' })
  }
}

async function lockTables({ keeper, tables, lockTimeoutMs }: ReadWork): Promise<void> {
  const rows = await resolveTables(keeper, tables)
  await keeper.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
  await keeper.query(`SET LOCAL lock_timeout = ${Math.ceil(lockTimeoutMs)}`)
  for (let start = 0; start < rows.length; start += TABLES_PER_LOCK_STATEMENT) {
    const batch = rows.slice(start, start + TABLES_PER_LOCK_STATEMENT)
    const names = batch.map((row) => `ONLY ${row.sql_name}`).join(', ')
    try {
      await keeper.query(`LOCK TABLE ${names} IN ACCESS SHARE MODE`)
    } catch (error) {
      const about = batch.length === 1 ? `${batch[0]?.name}` : `${batch.length} tables`
      throw toPostgresFailure(error, { doing: `locking ${about} for at most ${lockTimeoutMs} ms`, side: 'source' })
    }
  }
}

/** Asked before the locks: these answers name every table that is in the way, not only the first. */
async function resolveTables(session: Session, tables: readonly string[]): Promise<Row[]> {
  const rows = await session.query(
    `SELECT * FROM (SELECT ${shownName('n.nspname', 'c.relname')} AS name,
       ${statementName('n.nspname', 'c.relname')} AS sql_name,
       has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS readable,
       row_security_active(c.oid) AS hidden
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE ${USER_TABLE}) found
     WHERE name = ANY ($1) ORDER BY name COLLATE "C"`,
    [[...tables]],
  )
  const known = new Set(rows.map((row) => row.name))
  refuse(
    tables.filter((name) => !known.has(name)),
    (names) => new Failure('object-missing-in-source', `the source has no table ${names}`, { hints: [MISSING_HINT] }),
  )
  refuse(
    namesWhere(rows, (row) => row.readable !== 't'),
    (names) => new Failure('missing-rights', `no right to read table ${names}`, { hints: [RIGHTS_HINT] }),
  )
  refuse(
    namesWhere(rows, (row) => row.hidden === 't'),
    (names) => new Failure('rows-hidden', `row-level security hides rows of ${names}`, { hints: [ROWS_HIDDEN_HINT] }),
  )
  return rows
}

const MISSING_HINT = 'Tables are named schema.table. Correct the configuration: `chartkeep discover` drafts one anew.'
const RIGHTS_HINT = 'Let the database administrator run what `chartkeep setup-sql` prints.'

function namesWhere(rows: readonly Row[], condition: (row: Row) => boolean): string[] {
  return rows.filter(condition).map((row) => row.name ?? '')
}

function refuse(names: readonly string[], failure: (names: string) => Failure): void {
  if (names.length === 0) return
  const more = names.length > NAMES_SHOWN ? ` and ${names.length - NAMES_SHOWN} more` : ''
  throw failure(`${names.slice(0, NAMES_SHOWN).join(', ')}${more}`)
}

/**
 * The position is where WAL is inserted, not how far it is written: a commit that waits for no disk is visible before it is
 * written, and everything visible must lie before the position.
 */
async function takeSnapshot(keeper: Session): Promise<{ snapshot: string; position: ReadPosition }> {
  const [row] = await keeper.query(`
    SELECT pg_export_snapshot() AS snapshot, pg_current_snapshot() AS visible,
      CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END AS lsn,
      to_char(clock_timestamp(), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS source_time`)
  return {
    snapshot: row?.snapshot ?? '',
    position: { lsn: row?.lsn ?? '', visible: row?.visible ?? '', sourceTime: row?.source_time ?? '' },
  }
}

/** The tables as the snapshot sees them; each must be the one we hold a lock on, in the file it has now. */
async function readLocked(keeper: Session, tables: readonly string[]): Promise<Row[]> {
  const rows = await keeper.query(
    `SELECT * FROM (SELECT c.oid, ${shownName('n.nspname', 'c.relname')} AS name, c.relfilenode AS storage,
       c.relfilenode = pg_relation_filenode(c.oid) AND EXISTS (SELECT FROM pg_catalog.pg_locks l
         WHERE l.locktype = 'relation' AND l.relation = c.oid AND l.pid = pg_backend_pid() AND l.granted) AS settled
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'r' AND ${USER_SCHEMA}) found WHERE name = ANY ($1)`,
    [[...tables]],
  )
  const settled = new Set(rows.filter((row) => row.settled === 't').map((row) => row.name))
  refuse(
    tables.filter((name) => !settled.has(name)),
    (names) =>
      new Failure('schema-changed', `while the read was taken, the source changed table ${names}`, {
        hints: ['Run the command again.'],
      }),
  )
  return rows
}

async function readVisibleTables(keeper: Session): Promise<ConsistentRead['visibleTables']> {
  const rows = await keeper.query(
    `SELECT c.oid, ${shownName('n.nspname', 'c.relname')} AS name
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE ${USER_TABLE}`,
  )
  return rows.map((row) => ({ oid: row.oid ?? '', name: row.name ?? '' }))
}

function tableTickets(schema: SchemaInfo, storage: readonly Row[]): TableTicket[] {
  const files = new Map(storage.map((row) => [row.oid, row.storage ?? '']))
  return schema.tables.map((table) => ({
    name: table.name,
    sqlName: table.sqlName,
    oid: table.oid,
    storage: files.get(table.oid) ?? '',
    columns: table.columns.map((column) => column.name),
  }))
}

interface Holders {
  readonly keeper: Session
  readonly watcher: Watcher
  readonly grouped: ConnectionSettings
  readonly lockTimeoutMs: number
  readonly opened: AsyncDisposableStack
}

function assemble(taken: TakenRead, holders: Holders): ConsistentRead {
  const { keeper, watcher, grouped, lockTimeoutMs, opened } = holders
  return {
    ...taken,
    yielded: watcher.yielded,
    async readDdl(): Promise<SchemaDdl> {
      try {
        return await readSchemaDdl({ keeper, connection: grouped, snapshot: taken.ticket.snapshot, lockTimeoutMs })
      } catch (error) {
        if (watcher.yielded.aborted) throw watcher.yielded.reason
        throw toPostgresFailure(error, { doing: 'reading the schema', side: 'source' })
      }
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}
