/**
 * A session with PostgreSQL in which text means one thing.
 *
 * The text of a row depends on settings that roles and databases may carry (ALTER ROLE … SET DateStyle …), and so do
 * which rows are seen (row_security) and how long a snapshot lives (the time-outs). Startup `options` win over both,
 * but poolers drop them in silence; so what must hold is asked for at startup, and then read back on each connection:
 * a session whose pins do not hold is refused (P8, P13, P15). The settings that only some versions know are set
 * after the start, as far as the server has them.
 *
 * Everything the catalogs say arrives as text: no JS number or Date ever stands between.
 */
import { Socket } from 'node:net'
import pg from 'pg'
import { Failure } from '../../errors.ts'
import type { ConnectionSettings } from '../contract.ts'
import { type FailureSetting, isConnectionLoss, toPostgresFailure } from './failures.ts'
import { receivingSocket } from './receiving-socket.ts'
import { parseUrl, type ServerAddress, tlsAttempts } from './url.ts'

/**
 * Sources are read, and a read-only session cannot do anything else by mistake. `stream` is a read that can follow a slot:
 * a session of the replication protocol, in the database's own encoding, which knows no statement with parameters.
 */
export type SessionPurpose = 'read' | 'write' | 'stream'

/** Every field is text as the server prints it. */
export type Row = Readonly<Record<string, string | null>>

export interface Session extends AsyncDisposable {
  readonly serverVersion: string
  readonly serverVersionNumber: number
  /** The database's encoding, by PostgreSQL's name. */
  readonly encoding: string
  readonly client: pg.Client
  /** Rows as text. Several statements in one string are allowed when there are no values. */
  query(sql: string, values?: readonly unknown[]): Promise<Row[]>
  /** Ends the connection at once, without a word to the server: for a stream that nobody reads any more. */
  destroy(): void
}

const CONNECT_TIMEOUT_MS = 15_000
const KEEP_ALIVE_DELAY_MS = 30_000
const OLDEST_SERVER = 130_000

/** What is asked for at startup, and what the server must then show. */
const TEXT_PINS: Readonly<Record<string, string>> = {
  search_path: '',
  row_security: 'off',
  quote_all_identifiers: 'off',
  datestyle: 'ISO, YMD',
  intervalstyle: 'postgres',
  timezone: 'UTC',
  extra_float_digits: '3',
  bytea_output: 'hex',
  lc_monetary: 'C',
  xmloption: 'content',
  array_nulls: 'on',
  transform_null_equals: 'off',
  standard_conforming_strings: 'on',
  client_min_messages: 'error',
}

const TIMEOUT_PINS: Readonly<Record<string, string>> = {
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
}

/** Known to 14 and 17 only: startup options would end the connection on a server that does not know them. */
const LATER_TIMEOUTS = [
  { name: 'idle_session_timeout', since: 140_000 },
  { name: 'transaction_timeout', since: 170_000 },
] as const

const PURPOSE_PINS: Readonly<Record<SessionPurpose, Readonly<Record<string, string>>>> = {
  read: { default_transaction_read_only: 'on', max_parallel_workers_per_gather: '0' },
  stream: { default_transaction_read_only: 'on', max_parallel_workers_per_gather: '0', wal_sender_timeout: '1min' },
  write: {
    default_transaction_read_only: 'off',
    check_function_bodies: 'off',
    default_tablespace: '',
    default_table_access_method: 'heap',
  },
}

/**
 * @throws source-unreachable, source-login-refused, source-not-found, setting-not-pinned, unsupported-server
 */
export async function connect(settings: ConnectionSettings, purpose: SessionPurpose): Promise<Session> {
  const address = parseUrl(settings.url)
  const pins = { ...TEXT_PINS, ...TIMEOUT_PINS, ...PURPOSE_PINS[purpose] }
  const setting: FailureSetting = {
    doing: `connecting to ${address.shown}`,
    side: purpose === 'write' ? 'target' : 'source',
  }
  try {
    const { client, socket } = await openClient(address, { settings, pins, purpose })
    try {
      return await pinSession({ client, socket, pins, purpose, setting, shown: address.shown })
    } catch (error) {
      socket.destroy()
      throw error
    }
  } catch (error) {
    throw toPostgresFailure(error, setting)
  }
}

interface OpenClient {
  readonly client: pg.Client
  readonly socket: Socket
}

interface Wanted {
  readonly settings: ConnectionSettings
  readonly pins: Readonly<Record<string, string>>
  readonly purpose: SessionPurpose
}

/** Tries the kinds of connection that sslmode allows, in its order. */
async function openClient(address: ServerAddress, { settings, pins, purpose }: Wanted): Promise<OpenClient> {
  const attempts = tlsAttempts(address, settings.caPem)
  for (const [index, ssl] of attempts.entries()) {
    const socket = purpose === 'read' ? receivingSocket() : new Socket()
    const client = new pg.Client({
      host: address.host,
      port: address.port,
      ...(address.user === undefined ? {} : { user: address.user }),
      ...(address.database === undefined ? {} : { database: address.database }),
      // A function, so that the driver looks for a password nowhere else and the text is in no object that is printed.
      password: () => settings.password ?? '',
      application_name: address.applicationName,
      options: startupOptions(pins),
      ...(purpose === 'stream' ? { replication: 'database' } : {}),
      ssl,
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_DELAY_MS,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      stream: () => socket,
      types: { getTypeParser: () => (value: string) => value },
    })
    // A connection that dies while idle reports here; the next query on it fails, which is where it is handled.
    client.on('error', () => {})
    try {
      await client.connect()
      return { client, socket }
    } catch (error) {
      socket.destroy()
      const refusesTls = error instanceof Error && /does not support SSL/.test(error.message)
      if (!refusesTls || index === attempts.length - 1) throw error
    }
  }
  throw new Failure('defect', 'sslmode allows no kind of connection')
}

function startupOptions(pins: Readonly<Record<string, string>>): string {
  // In startup options a backslash keeps a blank from ending the value.
  const escaped = (value: string) => value.replace(/[\\ ]/g, '\\$&')
  return Object.entries(pins)
    .map(([name, value]) => `-c ${name}=${escaped(value)}`)
    .join(' ')
}

interface Unpinned extends OpenClient {
  readonly pins: Readonly<Record<string, string>>
  readonly purpose: SessionPurpose
  readonly setting: FailureSetting
  readonly shown: string
}

async function pinSession({ client, socket, pins, purpose, setting, shown }: Unpinned): Promise<Session> {
  const [server] = await textRows(
    client,
    `SELECT current_setting('server_version') AS version, current_setting('server_version_num') AS number,
       current_setting('server_encoding') AS encoding`,
  )
  const number = Number(server?.number)
  if (number < OLDEST_SERVER) {
    throw new Failure('unsupported-server', `${shown} is PostgreSQL ${server?.version}; chartkeep reads 13 and later`)
  }
  // A SQL_ASCII database has no encoding to translate from: names and comments come as the bytes they are.
  const encoding = server?.encoding ?? ''
  const clientEncoding = encoding === 'SQL_ASCII' || purpose === 'stream' ? encoding : 'UTF8'
  const laterPins = Object.fromEntries(
    LATER_TIMEOUTS.filter((later) => number >= later.since).map((later) => [later.name, '0']),
  )
  await verifyPins(client, { pins: { ...pins, client_encoding: clientEncoding }, laterPins, shown })
  const version = (server?.version ?? '').split(' ')[0] ?? ''
  return openSession({ client, socket, setting, version, number, encoding })
}

interface PinsToVerify {
  readonly pins: Readonly<Record<string, string>>
  /** Set here, because the server was not known at the start. */
  readonly laterPins: Readonly<Record<string, string>>
  readonly shown: string
}

async function verifyPins(client: pg.Client, { pins, laterPins, shown }: PinsToVerify): Promise<void> {
  const changes = [...Object.entries(laterPins), ['client_encoding', pins.client_encoding ?? '']]
  const wanted = { ...pins, ...laterPins }
  const questions = Object.keys(wanted).map((name) => `current_setting('${name}', true) AS ${name}`)
  const [actual] = await textRows(
    client,
    `${changes.map(([name, value]) => `SET ${name} = '${value}'; `).join('')}SELECT ${questions.join(', ')}`,
  )
  for (const [name, value] of Object.entries(wanted)) {
    const found = actual?.[name]
    // An empty search_path is shown as "" when it was given as an empty list.
    const same = found === value || (name === 'search_path' && found === '""')
    if (same) continue
    throw new Failure('setting-not-pinned', `${shown} shows ${name} as '${found ?? 'unknown'}', not '${value}'`, {
      hints: ['A connection pooler may drop startup options. Connect to the server itself, past the pooler.'],
      context: { setting: name },
    })
  }
}

interface Pinned extends OpenClient {
  readonly setting: FailureSetting
  readonly version: string
  readonly number: number
  readonly encoding: string
}

function openSession({ client, socket, version, number, encoding }: Pinned): Session {
  return {
    client,
    serverVersion: version,
    serverVersionNumber: number,
    encoding,
    query: (sql, values) => textRows(client, sql, values),
    destroy: () => socket.destroy(),
    async [Symbol.asyncDispose]() {
      if (socket.destroyed) return
      try {
        await client.end()
      } catch (error) {
        if (!isConnectionLoss(error)) throw error
      } finally {
        socket.destroy()
      }
    },
  }
}

/** Of several statements in one string, the rows of the last. */
async function textRows(client: pg.Client, sql: string, values?: readonly unknown[]): Promise<Row[]> {
  const result: unknown = values === undefined ? await client.query(sql) : await client.query(sql, [...values])
  const last = Array.isArray(result) ? result.at(-1) : result
  return (last as pg.QueryResult<Row>).rows
}
