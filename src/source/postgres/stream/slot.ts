/**
 * The replication slot: where the server remembers for us what we have not confirmed. A slot makes the server keep WAL and
 * old catalog rows for as long as nobody confirms; only our own is ever made and dropped (P12).
 */
import { Failure } from '../../../errors.ts'
import type { SlotStart, SlotState } from '../../change-contract.ts'
import type { ConnectionSettings } from '../../contract.ts'
import { connect, type Session } from '../connect.ts'
import { isServerError } from '../failures.ts'
import { slotInUse, streamFailure } from './failures.ts'

export interface CreateSlotOptions {
  readonly slot: string
  readonly lockTimeoutMs: number
  readonly signal: AbortSignal
}

/**
 * Making a slot waits for every transaction that has written something, in any database of the server and prepared ones
 * too. `lock_timeout` bounds each of these waits.
 */
export async function createSlot(connection: ConnectionSettings, options: CreateSlotOptions): Promise<SlotStart> {
  const { slot, lockTimeoutMs, signal } = options
  signal.throwIfAborted()
  await using session = await connect(connection, 'read')
  const [self] = await session.query('SELECT pg_backend_pid() AS pid')
  const onAbort = () => void cancel(connection, self?.pid ?? '0')
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    await session.query(`SET lock_timeout = ${Math.ceil(lockTimeoutMs)}`)
    const [made] = await session.query(
      `SELECT pg_wal_lsn_diff(lsn, '0/0') AS lsn FROM pg_create_logical_replication_slot($1, 'pgoutput')`,
      [slot],
    )
    if (signal.aborted) {
      await session.query('SELECT pg_drop_replication_slot($1)', [slot])
      throw signal.reason
    }
    // Asked after the slot was ready: whatever gets its number later also commits where the slot sees it.
    return { startLsn: BigInt(made?.lsn ?? 0), xidHorizon: await readXidHorizon(session) }
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw await creationFailure(error, session, options)
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/**
 * A number of our own, not a snapshot's xmax, which leaves out who got his and waits as long as no later one has ended.
 * `off` keeps it from waiting for a synchronous standby: a transaction with a number waits as soon as it wrote anything,
 * and looking at a catalog page may tidy it up.
 */
export async function readXidHorizon(session: Session): Promise<string> {
  const [row] = await session.query('SET LOCAL synchronous_commit = off; SELECT pg_current_xact_id() AS xid')
  return row?.xid ?? ''
}

async function cancel(connection: ConnectionSettings, pid: string): Promise<void> {
  try {
    await using session = await connect(connection, 'read')
    await session.query('SELECT pg_cancel_backend($1)', [pid])
  } catch {
    // Then lock_timeout ends the wait.
  }
}

async function creationFailure(error: unknown, session: Session, options: CreateSlotOptions): Promise<Error> {
  const { slot, lockTimeoutMs } = options
  const code = isServerError(error) ? error.code : ''
  if (code === '42710') {
    return new Failure('slot-exists', `the source already has a replication slot ${slot}`, {
      hints: ['See `chartkeep status`; a slot that nobody uses must be dropped by a database administrator.'],
    })
  }
  if (code === '55000') {
    return new Failure('cannot-capture', 'the server does not write what capture reads: wal_level is not logical', {
      hints: ['Let the database administrator run what `chartkeep setup-sql` prints.'],
    })
  }
  if (code === '53400') {
    return new Failure('source-failed', `the server has no room for slot ${slot}: all replication slots are in use`, {
      hints: ['A larger max_replication_slots makes room, after a restart of the server.'],
    })
  }
  if (code === '55P03') {
    return new Failure('source-failed', `slot ${slot} could not be made within ${lockTimeoutMs} ms`, {
      hints: await openTransactionHints(session),
    })
  }
  return streamFailure(error, { slot, doing: `making slot ${slot}` })
}

/** Who is waited for: by process and database, never by what they run. */
async function openTransactionHints(session: Session): Promise<string[]> {
  const open = await session.query(
    `SELECT pid, datname AS database, to_char(xact_start, 'YYYY-MM-DD HH24:MI:SS') AS since
     FROM pg_catalog.pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
     ORDER BY xact_start LIMIT 5`,
  )
  const [prepared] = await session.query('SELECT count(*) AS count FROM pg_catalog.pg_prepared_xacts')
  const hints = open.map(
    ({ pid, database, since }) => `Process ${pid} in database ${database} has a transaction open since ${since} UTC.`,
  )
  if (prepared?.count !== '0')
    hints.push(`${prepared?.count} prepared transactions wait for their end (pg_prepared_xacts).`)
  return ['A slot is ready when every transaction that had begun to write has ended. Run the command again.', ...hints]
}

export async function readSlotState(session: Session, slot: string): Promise<SlotState | null> {
  const reason = session.serverVersionNumber >= 170_000 ? 's.invalidation_reason' : 'NULL'
  const [row] = await session.query(
    `SELECT s.active, s.wal_status, ${reason} AS reason, pg_wal_lsn_diff(s.confirmed_flush_lsn, '0/0') AS confirmed,
       greatest(pg_wal_lsn_diff(${CURRENT_LSN}, s.restart_lsn), 0) AS retained, s.safe_wal_size AS safe,
       coalesce(age(s.catalog_xmin), 0) AS xmin_age
     FROM pg_catalog.pg_replication_slots s WHERE s.slot_name = $1 AND s.slot_type = 'logical'`,
    [slot],
  )
  if (row === undefined) return null
  const isLost = row.wal_status === 'lost' || row.reason != null
  const status = isLost ? 'lost' : (row.wal_status ?? 'reserved')
  return {
    active: row.active === 't',
    walStatus: row.reason == null ? status : `${status}: ${row.reason}`,
    confirmedLsn: row.confirmed == null ? null : BigInt(row.confirmed),
    retainedBytes: BigInt(row.retained ?? 0),
    safeBytes: isLost ? 0n : row.safe == null ? null : BigInt(row.safe),
    catalogXminAge: Number(row.xmin_age),
  }
}

/** Where the WAL that a slot holds back ends. */
export const CURRENT_LSN = 'CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END'

/**
 * A slot of another database, or of another kind, is not ours whatever its name, and stays.
 * @throws slot-in-use, missing-rights
 */
export async function dropSlot(session: Session, slot: string): Promise<void> {
  try {
    await session.query(
      `SELECT pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots
       WHERE slot_name = $1 AND plugin = 'pgoutput' AND database = current_database()`,
      [slot],
    )
  } catch (error) {
    if (isServerError(error) && error.code === '55006') throw slotInUse(slot)
    if (isServerError(error) && error.code === '42704') return
    throw streamFailure(error, { slot, doing: `dropping slot ${slot}` })
  }
}
