/**
 * All tables as of one moment: one session, one transaction under SNAPSHOT isolation, which waits for nobody and whom
 * nobody waits for; catalogs are asked on another (introspect.ts).
 *
 *     catalogs   tables, rights ──────────────── tables again, DDL
 *     keeper     BEGIN ── first look at data ──┘ rows, table after table (relay.ts)
 *
 * A snapshot transaction begins with its first look at data, not with BEGIN (learn.microsoft.com, "Transaction locking and
 * row versioning guide"); so the keeper looks before the catalogs are read for the second time, and what they then show is
 * what the transaction may read: a table that DDL touches later fails with error 3961.
 *
 * Where change data capture is set up, the read stands at a position of the log (changes/hand-over.ts). Elsewhere its
 * position is the server's clock, in microseconds: it tells reads of one source apart, and no log carries on from it.
 */
import { randomBytes } from 'node:crypto'
import { Failure } from '../../errors.ts'
import type {
  ConnectionSettings,
  ConsistentRead,
  ReadOptions,
  ReadPosition,
  SchemaDdl,
  TableTicket,
} from '../contract.ts'
import { openHandOver } from './changes/open-hand-over.ts'
import { connect, type Session } from './connect.ts'
import { readSchemaDdl } from './ddl.ts'
import { toSqlServerFailure } from './failures.ts'
import { readIdentity } from './identity.ts'
import { type CatalogTable, describe, readTables } from './introspect.ts'
import { readLines } from './read-table.ts'
import { assertReadable, refuse } from './readable.ts'
import { type Relay, relayTables } from './relay.ts'
import { askTracking } from './tracking/ask-server.ts'
import { openNetChanges, type Prepared, prepareNetChanges, standingOf } from './tracking/net-changes.ts'

/** @throws object-missing-in-source, missing-rights, rows-hidden, setting-not-pinned, schema-changed, not-available */
export async function openConsistentRead(
  connection: ConnectionSettings,
  { tables, signal, lockTimeoutMs, netChanges = false }: ReadOptions,
): Promise<ConsistentRead> {
  signal.throwIfAborted()
  await using opened = new AsyncDisposableStack()
  const catalogs = opened.use(await connect(connection, 'source'))
  const keeper = opened.use(await connect(connection, 'source'))
  const end = () => keeper.destroy()
  signal.addEventListener('abort', end, { once: true })
  try {
    const taken = await takeRead({
      catalogs,
      keeper,
      opening: () => connect(connection, 'source'),
      tables,
      lockTimeoutMs,
      netChanges,
    })
    const relay = opened.use(relayTables((table) => readLines(keeper, catalogTable(taken.read, table))))
    return assemble(connection, taken, { catalogs, relay, opened: opened.move() })
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw toSqlServerFailure(error, { doing: 'taking a consistent read', side: 'source' })
  } finally {
    signal.removeEventListener('abort', end)
  }
}

interface ReadWork {
  readonly catalogs: Session
  readonly keeper: Session
  readonly opening: () => Promise<Session>
  readonly tables: readonly string[]
  readonly lockTimeoutMs: number
  readonly netChanges: boolean
}

/** Of snapshots, until one is found that stands at a position. */
const HAND_OVER_TRIES = 5

type Taken = Awaited<ReturnType<typeof takeRead>>

async function takeRead(work: ReadWork) {
  const { catalogs, tables } = work
  const identity = await readIdentity(catalogs)
  const tracking = work.netChanges ? await prepareTracking(work) : null
  const before = chosen(await readTables(catalogs), tables)
  await assertReadable(catalogs, before)
  const { position, version } = await takePosition(work, before, tracking)
  const all = await readTables(catalogs)
  const read = chosen(all, tables)
  refuse(
    read.filter((table, index) => shape(table) !== shape(before[index]!)).map(({ info }) => info.name),
    (names) =>
      new Failure('schema-changed', `while the read was taken, the source changed table ${names}`, {
        hints: ['Run the command again.'],
      }),
  )
  const { sequences, notCaptured } = await describe(catalogs, all)
  const schema = { tables: read.map(({ info }) => info), sequences, notCaptured }
  const netChanges = tracking && version !== null ? await openTracking(work, { ...tracking, version }, read) : null
  return { identity, position, read, schema, visibleTables: all.map(({ info }) => info), netChanges }
}

async function prepareTracking({ catalogs, keeper }: ReadWork): Promise<Prepared | null> {
  const token = randomBytes(16).toString('hex')
  return await orUntold(prepareNetChanges(askTracking(catalogs, keeper), token))
}

async function openTracking(
  { catalogs, keeper }: ReadWork,
  prepared: Prepared & { readonly version: bigint },
  tables: readonly CatalogTable[],
) {
  return await orUntold(openNetChanges(askTracking(catalogs, keeper), prepared, tables))
}

/** Change Tracking that does not answer is no reason not to read. */
async function orUntold<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work
  } catch (error) {
    if (error instanceof Failure && ['source-failed', 'missing-rights'].includes(error.code)) return null
    throw error
  }
}

/** @returns the version of Change Tracking at which the snapshot stands, or null */
async function takePosition(work: ReadWork, tables: readonly CatalogTable[], tracking: Prepared | null) {
  const position = await handOver(work, tables)
  if (tracking === null) return { position, version: null }
  const { catalogs, keeper } = work
  const version = await orUntold(standingOf(askTracking(catalogs, keeper), tracking))
  if (version !== null) return { position, version }
  // A statement that failed may have ended the transaction, and with it the one moment.
  await keeper.query('IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION')
  return { position: await handOver(work, tables), version }
}

/** Begins snapshots until one stands at a position of the log, where changes can be followed. */
async function handOver({ keeper, opening, lockTimeoutMs }: ReadWork, tables: readonly CatalogTable[]) {
  await using hand = await openHandOver(opening)
  for (let tries = 1; ; tries += 1) {
    const position = await beginSnapshot(keeper, [...tables, ...(hand?.tables ?? [])], lockTimeoutMs)
    if (hand === null) return position
    const lsn = await hand.standingOf(keeper)
    if (lsn !== null) return { ...position, lsn: notation(lsn), visible: `${lsn}:${lsn}:` }
    if (tries === HAND_OVER_TRIES) return { ...position, lsn: notation(hand.settled) }
    await keeper.query('IF @@TRANCOUNT > 0 COMMIT TRANSACTION')
  }
}

/** @param tables any that are there: the snapshot is of the moment of the first look at one (see above) */
export async function beginSnapshot(
  session: Session,
  tables: readonly CatalogTable[],
  lockTimeoutMs: number,
): Promise<ReadPosition> {
  await session.query(`SET LOCK_TIMEOUT ${Math.ceil(lockTimeoutMs)}; SET DEADLOCK_PRIORITY LOW`)
  await session.query('SET TRANSACTION ISOLATION LEVEL SNAPSHOT')
  await session.query('BEGIN TRANSACTION')
  for (const { info } of tables.slice(0, 1)) await session.query(`SELECT TOP (1) 1 AS one FROM ${info.sqlName}`)
  return await readPosition(session)
}

/** In the order of their names. @throws object-missing-in-source */
function chosen(all: readonly CatalogTable[], names: readonly string[]): CatalogTable[] {
  const wanted = new Set(names)
  const found = all.filter(({ info }) => wanted.has(info.name))
  const known = new Set(found.map(({ info }) => info.name))
  refuse(
    names.filter((name) => !known.has(name)),
    (missing) =>
      new Failure('object-missing-in-source', `the source has no table ${missing}`, {
        hints: ['Tables are named schema.table. Correct the configuration: `chartkeep discover` drafts one anew.'],
      }),
  )
  return found
}

function shape({ info, columns }: CatalogTable): string {
  return JSON.stringify([info.oid, columns])
}

function catalogTable(tables: readonly CatalogTable[], name: string): CatalogTable {
  const table = tables.find(({ info }) => info.name === name)
  if (table) return table
  throw new Failure('defect', `the read has no table ${name}`)
}

async function readPosition(keeper: Session): Promise<ReadPosition> {
  const [row] = await keeper.query(`
    SELECT CONVERT(nvarchar(20), CONVERT(bigint, DATEDIFF(day, '19700101', m.at)) * 86400000000 +
        CONVERT(bigint, DATEDIFF(second, CONVERT(datetime2(6), CONVERT(date, m.at)), m.at)) * 1000000 +
        DATEPART(microsecond, m.at)) AS us,
      CONVERT(nvarchar(26), m.at, 121) AS at
    FROM (SELECT CONVERT(datetime2(6), SYSUTCDATETIME()) AS at) m`)
  const us = BigInt(row?.us ?? 0)
  return { lsn: notation(us), visible: `0:0:${us}`, sourceTime: `${(row?.at ?? '').replace(' ', 'T')}Z` }
}

function notation(position: bigint): string {
  return `${(position >> 32n).toString(16).toUpperCase()}/${(position & 0xffffffffn).toString(16).toUpperCase()}`
}

interface Holders {
  readonly catalogs: Session
  readonly relay: Relay
  readonly opened: AsyncDisposableStack
}

function assemble(connection: ConnectionSettings, taken: Taken, { catalogs, relay, opened }: Holders): ConsistentRead {
  const { identity, position, schema, visibleTables, read, netChanges } = taken
  return {
    identity,
    position,
    schema,
    visibleTables,
    ticket: { engine: 'sqlserver', connection, snapshot: relay.name, encoding: identity.encoding },
    tableTickets: read.map(ticketOf),
    // Row versions are read without locks on rows, so that nobody in the application waits for a row of ours.
    yielded: new AbortController().signal,
    ...(netChanges && { netChanges }),
    async readDdl(): Promise<SchemaDdl> {
      try {
        return await readSchemaDdl(catalogs)
      } catch (error) {
        throw toSqlServerFailure(error, { doing: 'reading the schema', side: 'source' })
      }
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

function ticketOf({ info }: CatalogTable): TableTicket {
  return {
    name: info.name,
    sqlName: info.sqlName,
    oid: info.oid,
    storage: info.oid,
    columns: info.columns.map(({ name }) => name),
  }
}
