/** Settings of the server that decide whether its changes can be followed, and whether it survives that (P9, P12). */
import type { Observation } from '../../health-contract.ts'
import type { Row, Session } from '../connect.ts'
import { findPgDump } from '../ddl-from-pg-dump.ts'
import type { HealthGroup } from './group.ts'

const RELOAD = 'SELECT pg_reload_conf();'

export const serverSettings: HealthGroup = {
  topics: [
    'server-changes-logged',
    'server-slot-limit',
    'server-durable',
    'server-synchronous-standby',
    'server-standby',
    'server-encoding',
    'server-slots-room',
    'server-wraparound',
  ],
  look: async (session) => {
    const [row] = await session.query(SETTINGS)
    return row === undefined ? [] : judgeable(row, session.encoding)
  },
}

const SETTINGS = `
  SELECT current_setting('wal_level') AS wal_level, current_setting('fsync') AS fsync,
    current_setting('full_page_writes') AS full_page_writes, pg_is_in_recovery() AS standby,
    (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'max_slot_wal_keep_size') AS keep,
    current_setting('synchronous_standby_names') AS standbys, current_setting('max_replication_slots') AS slots_max,
    (SELECT count(*) FROM pg_catalog.pg_replication_slots) AS slots, current_database() AS database,
    (SELECT age(datfrozenxid) FROM pg_catalog.pg_database WHERE datname = current_database()) AS frozen_age`

function judgeable(row: Row, encoding: string): Observation[] {
  const seen: Observation[] = []
  const database = row.database ?? ''
  if (row.wal_level !== 'logical') {
    const remedySql = [`ALTER SYSTEM SET wal_level = 'logical'; -- then restart the server`]
    seen.push({ topic: 'server-changes-logged', objects: [], found: `wal_level = ${row.wal_level}`, remedySql })
  }
  if (row.keep === '-1') {
    const remedySql = [`ALTER SYSTEM SET max_slot_wal_keep_size = '20GB';`, RELOAD]
    seen.push({ topic: 'server-slot-limit', objects: [], found: 'max_slot_wal_keep_size = -1', remedySql })
  }
  for (const name of ['fsync', 'full_page_writes'] as const) {
    if (row[name] !== 'off') continue
    const remedySql = [`ALTER SYSTEM SET ${name} = 'on';`, RELOAD]
    seen.push({ topic: 'server-durable', objects: [name], found: `${name} = off`, remedySql })
  }
  if (/\*|chartkeep/i.test(row.standbys ?? '')) {
    const remedySql = [`ALTER SYSTEM SET synchronous_standby_names = '…'; -- name the standbys`, RELOAD]
    const found = `synchronous_standby_names = ${row.standbys}`
    seen.push({ topic: 'server-synchronous-standby', objects: [], found, remedySql })
  }
  if (row.standby === 't') {
    seen.push({ topic: 'server-standby', objects: [database], found: 'pg_is_in_recovery() = true' })
  }
  if (encoding === 'SQL_ASCII') {
    seen.push({ topic: 'server-encoding', objects: [database], found: `server_encoding = ${encoding}` })
  }
  seen.push(slotsRoom(row), frozen(row, database))
  return seen
}

function slotsRoom(row: Row): Observation {
  const found = `${row.slots} of max_replication_slots = ${row.slots_max} in use`
  const remedySql = [
    `ALTER SYSTEM SET max_replication_slots = ${Number(row.slots_max) + 10}; -- then restart the server`,
  ]
  return {
    topic: 'server-slots-room',
    objects: [],
    found,
    measure: Number(row.slots_max) - Number(row.slots),
    remedySql,
  }
}

function frozen(row: Row, database: string): Observation {
  const found = `age(datfrozenxid) = ${row.frozen_age}`
  const remedySql = ['VACUUM (FREEZE, VERBOSE);']
  return { topic: 'server-wraparound', objects: [database], found, measure: Number(row.frozen_age), remedySql }
}

/** Bracketed by our own clock: the offset is off by half of what the question took, at the most. */
export const serverClock: HealthGroup = {
  topics: ['clock-server'],
  look: async (session, { nowMs }) => {
    const beforeMs = nowMs()
    const [row] = await session.query('SELECT extract(epoch FROM clock_timestamp()) * 1000 AS ms')
    const offsetSeconds = (Number(row?.ms) - (beforeMs + nowMs()) / 2) / 1000
    const found = `${offsetSeconds >= 0 ? '+' : ''}${offsetSeconds.toFixed(1)} s`
    return [{ topic: 'clock-server', objects: [], found, measure: Math.abs(offsetSeconds) }]
  },
}

export const schemaTool: HealthGroup = {
  topics: ['server-schema-tool'],
  look: async (session) => {
    if (await findPgDump(session.serverVersionNumber)) return []
    const major = Math.floor(session.serverVersionNumber / 10_000)
    return [
      { topic: 'server-schema-tool', objects: [`pg_dump ${major}`], found: `PostgreSQL ${session.serverVersion}` },
    ]
  },
}

/** Other people's sessions are not for our role to see; their transaction numbers are. */
export const openTransactions: HealthGroup = {
  topics: ['server-old-transactions'],
  look: async (session) => [...(await prepared(session)), ...(await heldBack(session))],
}

async function prepared(session: Session): Promise<Observation[]> {
  const rows = await session.query(
    `SELECT extract(epoch FROM clock_timestamp() - p.prepared) AS age, count(*) OVER () AS count, database
     FROM pg_catalog.pg_prepared_xacts p ORDER BY p.prepared LIMIT 1`,
  )
  return rows.map(({ age, count, database }) => ({
    topic: 'server-old-transactions',
    objects: [database ?? ''],
    found: `pg_prepared_xacts: ${count}`,
    measure: Number(age),
    remedySql: [
      'SELECT gid, prepared, owner, database FROM pg_prepared_xacts; -- then COMMIT PREPARED or ROLLBACK PREPARED',
    ],
  }))
}

/** How many numbers ago the oldest writing transaction began that is still open: a hundred thousand count as an hour. */
async function heldBack(session: Session): Promise<Observation[]> {
  const [row] = await session.query(
    `SELECT pg_snapshot_xmax(s)::text::bigint - pg_snapshot_xmin(s)::text::bigint AS held FROM pg_current_snapshot() s`,
  )
  const held = Number(row?.held)
  if (held < 100_000) return []
  const remedySql = [
    'SELECT pid, usename, xact_start FROM pg_stat_activity WHERE backend_xid IS NOT NULL ORDER BY xact_start;',
  ]
  return [
    { topic: 'server-old-transactions', objects: [], found: `xmax - xmin = ${held}`, measure: held / 28, remedySql },
  ]
}
