/**
 * What PostgreSQL, its sockets and its driver say when something fails, as a Failure of our table.
 *
 * A PostgreSQL error is a set of fields, and most of them can quote rows: DETAIL (`Key (mrn)=(…)`), CONTEXT (`COPY
 * patient, line 3: "…"`), HINT, and the message itself for data errors and for anything that a trigger raises (F42).
 * So a Failure is made of what cannot hold a value: the SQLSTATE, its name from the table below, the object that *we*
 * asked for, and the names of table, column and constraint that the server reports in fields of their own. The
 * server's words are quoted for a few conditions only, which speak of nothing but object names, and never when a
 * function of the database had a part in them. The error itself is not kept as `cause`: whoever prints a cause would
 * print its fields. `test/source/postgres/failures.test.ts` plants values and looks for them.
 */
import { Failure, type FailureCode, type FailureContext } from '../../errors.ts'

export interface FailureSetting {
  /** What we were doing, with its object: `reading public.vital_sign`. */
  readonly doing: string
  readonly side: 'source' | 'target'
}

/** The fields we use of what `pg` throws. */
interface ServerError {
  readonly code: string
  readonly severity: string
  readonly message: string
  readonly routine?: string
  readonly where?: string
  readonly schema?: string
  readonly table?: string
  readonly column?: string
  readonly constraint?: string
}

/** SQLSTATE conditions that operators meet, named as the manual names them. */
const CONDITIONS: Readonly<Record<string, string>> = {
  '0A000': 'feature not supported',
  '22003': 'numeric value out of range',
  '22021': 'character not in repertoire',
  '22P02': 'invalid text representation',
  '22P04': 'bad copy file format',
  '22P05': 'untranslatable character',
  '23502': 'not-null violation',
  '23503': 'foreign-key violation',
  '23505': 'unique violation',
  '23514': 'check violation',
  '23P01': 'exclusion violation',
  '25006': 'read-only transaction',
  '3D000': 'invalid database name',
  '3F000': 'invalid schema name',
  '40001': 'serialization failure',
  '40P01': 'deadlock detected',
  '42501': 'insufficient privilege',
  '42601': 'syntax error',
  '42701': 'duplicate column',
  '42703': 'undefined column',
  '42704': 'undefined object',
  '42710': 'duplicate object',
  '42883': 'undefined function',
  '42P01': 'undefined table',
  '42P06': 'duplicate schema',
  '42P07': 'duplicate table',
  '53100': 'disk full',
  '53200': 'out of memory',
  '53300': 'too many connections',
  '55006': 'object in use',
  '55P03': 'lock not available',
  '57014': 'query cancelled',
  '57P01': 'ended by an administrator',
  '57P03': 'cannot connect now',
  '58P01': 'file missing',
  P0001: 'raised by a function of the database',
  XX001: 'data corrupted',
  XX002: 'index corrupted',
}

/** Conditions whose message names objects and nothing else. */
const QUOTABLE = new Set(['0A000', '3D000', '3F000', '42501', '42704', '42883', '42P01', '42P07', '42710', '53300'])

const SOCKET_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ENOENT',
  'EACCES',
  'ERR_STREAM_PREMATURE_CLOSE',
  'ERR_STREAM_DESTROYED',
])

/** A Failure passes as it is; an error of neither the server nor the connection is a defect, and is thrown as it is. */
export function toPostgresFailure(error: unknown, setting: FailureSetting): Error {
  if (error instanceof Failure) return error
  if (isServerError(error)) return serverFailure(error, setting)
  const connection = connectionFailure(error, setting)
  if (connection) return connection
  return error instanceof Error ? error : new Error('a value that is no error was thrown')
}

export function isServerError(error: unknown): error is ServerError {
  return error instanceof Error && 'severity' in error && 'code' in error && /^[0-9A-Z]{5}$/.test(String(error.code))
}

/** The connection is gone, for whatever reason: ended by the server, by its operator, or by the network. */
export function isConnectionLoss(error: unknown): boolean {
  if (isServerError(error)) return error.code.startsWith('08') || error.code.startsWith('57P')
  return error instanceof Error && (SOCKET_CODES.has(systemCode(error)) || DRIVER_LOSS.test(error.message))
}

/** What the driver says when the server goes away; it has no codes. */
const DRIVER_LOSS = /^(Connection terminated|timeout expired|Client has encountered a connection error|.*not queryable)/

function serverFailure(error: ServerError, { doing, side }: FailureSetting): Failure {
  const code = failureCode(error, side)
  const condition = CONDITIONS[error.code]
  const isOwn = !isRaised(error)
  const quoted = isOwn && QUOTABLE.has(error.code) && error.where === undefined && error.routine !== undefined
  const words = quoted ? `: ${error.message}` : ''
  const what = condition === undefined ? `SQLSTATE ${error.code}` : `${condition}, SQLSTATE ${error.code}`
  return new Failure(code, `${doing} failed (${what})${words}`, {
    hints: hintsFor(code, error, side),
    context: isOwn ? contextOf(error) : { sqlstate: error.code },
  })
}

/** Functions raise errors of any SQLSTATE, with any text in any field: of such an error only the SQLSTATE is told. */
function isRaised(error: ServerError): boolean {
  return error.routine === 'exec_stmt_raise' || (error.routine?.startsWith('PLy_') ?? false)
}

function failureCode(error: ServerError, side: 'source' | 'target'): FailureCode {
  const { code } = error
  if (isRaised(error)) return side === 'target' ? 'target-failed' : 'source-failed'
  if (code.startsWith('28')) return 'source-login-refused'
  if (code === '3D000') return 'source-not-found'
  if (code.startsWith('08') || code.startsWith('57P') || code === '53300') return 'source-unreachable'
  if (code === '22021' || code === '22P05') return 'untranslatable-text'
  if (code === '42501') return error.routine === 'check_enable_rls' ? 'rows-hidden' : 'missing-rights'
  if (side === 'target') return 'target-failed'
  if (code === '42P01' || code === '3F000') return 'object-missing-in-source'
  if (code === '42703') return 'schema-changed'
  if (code === '55P03' || code === '40P01' || code === '57014') return 'yielded-to-application'
  return 'source-failed'
}

function hintsFor(code: FailureCode, error: ServerError, side: 'source' | 'target'): string[] {
  if (code === 'missing-rights' && side === 'source') {
    return ['Let the database administrator run what `chartkeep setup-sql` prints.']
  }
  if (code === 'rows-hidden') return [ROWS_HIDDEN_HINT]
  if (code === 'source-login-refused') {
    return ['Check the user name, the password (PGPASSWORD, a pgpass file or passwordFile), and pg_hba.conf.']
  }
  if (code === 'source-not-found') {
    return ['The name of the database stands at the end of the address: postgres://user@host:port/database.']
  }
  if (code === 'untranslatable-text') {
    return ['Rebuild into a database with the encoding of the source: CREATE DATABASE … ENCODING … TEMPLATE template0.']
  }
  if (error.code === '53200') {
    return ['With very many tables, the server may need a larger max_locks_per_transaction.']
  }
  if (error.code === 'XX000') {
    return ['An error within the server: its log says more. Where something was dropped meanwhile, run it again.']
  }
  if (error.code.startsWith('XX')) {
    return ['The server found damage in its own files. Keep its data directory as it is, and look at its log.']
  }
  return []
}

export const ROWS_HIDDEN_HINT =
  'Row-level security hides rows from this role. Give it BYPASSRLS: `chartkeep setup-sql` prints the statement.'

function contextOf(error: ServerError): FailureContext {
  const names: Record<string, string> = { sqlstate: error.code }
  if (error.schema !== undefined) names.schema = error.schema
  if (error.table !== undefined) names.table = error.table
  if (error.column !== undefined) names.column = error.column
  if (error.constraint !== undefined) names.constraint = error.constraint
  return names
}

function connectionFailure(error: unknown, { doing }: FailureSetting): Failure | undefined {
  if (!(error instanceof Error)) return undefined
  const code = systemCode(error)
  if (/^SASL/.test(error.message)) {
    return new Failure(
      'source-login-refused',
      `${doing} failed: the login was refused (${saslReason(error.message)})`,
      {
        hints: ['Check the password: PGPASSWORD, a pgpass file, or passwordFile in the configuration.'],
      },
    )
  }
  if (/CERT|_TLS_|^ERR_SSL|SELF_SIGNED|UNABLE_TO_/.test(code)) {
    return new Failure('source-login-refused', `${doing} failed: the server's certificate was refused (${code})`, {
      hints: ['Give the authority that signed the certificate, or the name the certificate is for.'],
    })
  }
  if (!isConnectionLoss(error) && !/SSL connection/.test(error.message)) return undefined
  const reason = code === '' ? 'the connection ended' : code
  return new Failure('source-unreachable', `${doing} failed: the server cannot be reached (${reason})`, {
    hints: ['Check the host, the port and the network between, and whether the server is up.'],
  })
}

function saslReason(message: string): string {
  return message.includes('non-empty') || message.includes('must be a string') ? 'no password was given' : 'SASL'
}

function systemCode(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : ''
}
