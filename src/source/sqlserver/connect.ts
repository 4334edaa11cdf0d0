/**
 * A session with SQL Server.
 *
 * What shapes text is not left to the login: every conversion names its style (row-text.ts), so that language and
 * date format play no part; and no value comes here but as text or bytes, because the driver makes numbers and Dates of
 * what is neither (F38).
 */
import { Connection, type ConnectionConfiguration, Request } from 'tedious'
import { Failure } from '../../errors.ts'
import type { ConnectionSettings } from '../contract.ts'
import { type FailureSetting, serverFailure, toSqlServerFailure } from './failures.ts'
import { parseUrl, type ServerAddress } from './url.ts'

/** Fields of a catalog row, as text. */
export type Row = Readonly<Record<string, string | null>>

export type Field = string | Buffer | null

export interface Session extends AsyncDisposable {
  readonly connection: Connection
  /** Rows of the last result, as text; bytes as hexadecimal digits. For catalogs: the rows of tables go by `rows`. */
  query(sql: string): Promise<Row[]>
  /**
   * Rows of one statement, as they come; the server waits while nobody asks. Fields are text or bytes as the statement
   * converted them.
   */
  rows(sql: string): AsyncGenerator<readonly Field[]>
  destroy(): void
}

const CONNECT_TIMEOUT_MS = 15_000
/** Rows that may wait to be taken before the server is told to pause. */
const ROWS_WAITING_MAX = 512

/** @param statementTimeoutMs none when not given */
export async function connect(
  settings: ConnectionSettings,
  side: FailureSetting['side'],
  statementTimeoutMs = 0,
): Promise<Session> {
  const address = parseUrl(settings.url)
  const setting: FailureSetting = { doing: `connecting to ${address.shown}`, side }
  const connection = new Connection(configuration(address, settings, statementTimeoutMs))
  // What the server says of a login that fails comes beside the error, not in it.
  let said: number | undefined
  connection.on('errorMessage', (message) => {
    said ??= message.number
  })
  // A connection that dies while idle reports here; the next query on it fails, which is where it is handled.
  connection.on('error', () => {})
  try {
    await new Promise<void>((resolve, reject) => connection.connect((error) => (error ? reject(error) : resolve())))
  } catch (error) {
    connection.close()
    throw said === undefined ? toSqlServerFailure(error, setting) : serverFailure(said, setting)
  }
  return new OpenSession(connection)
}

function configuration(
  address: ServerAddress,
  settings: ConnectionSettings,
  requestTimeout: number,
): ConnectionConfiguration {
  const authority = settings.caPem === undefined ? {} : { cryptoCredentialsDetails: { ca: settings.caPem } }
  const named = address.hostNameInCertificate === undefined ? {} : { serverName: address.hostNameInCertificate }
  const options = {
    port: address.port,
    ...(address.database === undefined ? {} : { database: address.database }),
    encrypt: address.encrypt === 'strict' ? 'strict' : address.encrypt === 'true',
    trustServerCertificate: address.trustServerCertificate,
    ...authority,
    ...named,
    appName: 'chartkeep',
    connectTimeout: CONNECT_TIMEOUT_MS,
    requestTimeout,
    useUTC: true,
  }
  const { user: userName = '' } = address
  const password = settings.password ?? ''
  return { server: address.host, authentication: { type: 'default', options: { userName, password } }, options }
}

class OpenSession implements Session {
  readonly connection: Connection

  constructor(connection: Connection) {
    this.connection = connection
  }

  async query(sql: string): Promise<Row[]> {
    let rows: Row[] = []
    await new Promise<void>((resolve, reject) => {
      const request = new Request(sql, (error) => (error ? reject(error) : resolve()))
      request.on('columnMetadata', () => {
        rows = []
      })
      request.on('row', (columns: readonly DriverColumn[]) => rows.push(catalogRow(columns)))
      this.connection.execSqlBatch(request)
    })
    return rows
  }

  async *rows(sql: string): AsyncGenerator<readonly Field[]> {
    const waiting: (readonly Field[])[] = []
    let end: { readonly error: Error | null } | null = null
    let wake = () => {}
    const request = new Request(sql, (error) => {
      end = { error: error ?? null }
      wake()
    })
    request.on('row', (columns: readonly DriverColumn[]) => {
      waiting.push(columns.map(({ value }) => tableField(value)))
      if (waiting.length >= ROWS_WAITING_MAX) request.pause()
      wake()
    })
    const ended = () => end as { readonly error: Error | null } | null
    this.connection.execSqlBatch(request)
    try {
      for (;;) {
        if (waiting.length > 0) {
          yield* waiting.splice(0)
          request.resume()
          continue
        }
        const over = ended()
        if (over?.error) throw over.error
        if (over) return
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    } finally {
      if (ended() === null) await this.#giveUp(request, ended)
    }
  }

  destroy(): void {
    this.connection.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.connection.close()
  }

  /** Nobody wants the rest: the server is told, and the session is free again when it has answered. */
  async #giveUp(request: Request, ended: () => unknown): Promise<void> {
    const over = new Promise<void>((resolve) => request.on('requestCompleted', resolve))
    request.removeAllListeners('row')
    request.resume()
    this.connection.cancel()
    if (ended() === null) await over
  }
}

interface DriverColumn {
  readonly metadata: { readonly colName: string }
  readonly value: unknown
}

function catalogRow(columns: readonly DriverColumn[]): Row {
  return Object.fromEntries(
    columns.map(({ metadata, value }) => [metadata.colName, value === null ? null : catalogText(value)]),
  )
}

function catalogText(value: unknown): string {
  if (typeof value === 'boolean') return value ? '1' : '0'
  if (Buffer.isBuffer(value)) return hexOf(value)
  return String(value)
}

/** Capitals. */
export function hexOf(bytes: Buffer): string {
  return bytes.toString('hex').toUpperCase()
}

/** Anything else was not converted where it had to be. */
function tableField(value: unknown): Field {
  if (value === null || typeof value === 'string' || Buffer.isBuffer(value)) return value
  throw new Failure('defect', 'a field came as neither text nor bytes')
}
