/**
 * What SQL Server and its driver report, in our words.
 *
 * The server's messages quote rows: 2627 gives the duplicate key, 8152 and 2628 the text that was too long, 245 the value
 * that did not convert, and RAISERROR anything (F42). So a Failure is made of the error's number, its name from the table
 * below, and the object that *we* asked for; the message is never quoted, and the error is not kept as `cause`.
 *
 * Numbers: learn.microsoft.com, "Database engine events and errors".
 */
import { Failure, type FailureCode } from '../../errors.ts'

export interface FailureSetting {
  /** What we were doing, with its object: `reading dbo.vital_sign`. */
  readonly doing: string
  readonly side: 'source' | 'target'
}

interface Condition {
  readonly name: string
  readonly code?: FailureCode
  readonly hint?: string
}

const RIGHTS: Condition = { name: 'permission denied', code: 'missing-rights' }
const VERSION_STORE: Condition = {
  name: 'row versions lost',
  hint: 'The version store (tempdb, or the database itself with ADR) is full or too small for a read of this length.',
}

const CONDITIONS: Readonly<Record<number, Condition>> = {
  102: { name: 'incorrect syntax' },
  207: { name: 'invalid column name', code: 'schema-changed' },
  208: { name: 'invalid object name', code: 'object-missing-in-source' },
  220: { name: 'arithmetic overflow' },
  229: RIGHTS,
  230: RIGHTS,
  245: { name: 'conversion failed' },
  262: RIGHTS,
  297: RIGHTS,
  300: RIGHTS,
  515: { name: 'NULL in a column that takes none' },
  547: { name: 'constraint violated' },
  916: RIGHTS,
  1105: { name: 'filegroup full' },
  1205: { name: 'chosen as deadlock victim', code: 'yielded-to-application' },
  1222: { name: 'lock request timed out', code: 'yielded-to-application' },
  2601: { name: 'duplicate key in a unique index' },
  2627: { name: 'duplicate key' },
  2628: { name: 'text would be truncated' },
  2714: { name: 'object exists already' },
  3952: {
    name: 'SNAPSHOT isolation is not allowed in this database',
    code: 'setting-not-pinned',
    hint:
      'Without it nothing reads all tables as of one moment while the application writes. Let the administrator run ' +
      'ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON (row versions then take room in tempdb); or name a copy ' +
      'that stands still: a database snapshot, or a restored backup.',
  },
  3958: VERSION_STORE,
  3961: {
    name: 'an object was changed by DDL since the read began',
    code: 'schema-changed',
    hint: 'Run the command again.',
  },
  3966: VERSION_STORE,
  3967: VERSION_STORE,
  4060: { name: 'cannot open the database', code: 'source-not-found' },
  8115: { name: 'arithmetic overflow' },
  8152: { name: 'text would be truncated' },
  9002: { name: 'transaction log full' },
  15247: RIGHTS,
  18452: { name: 'login refused', code: 'source-login-refused' },
  18456: { name: 'login refused', code: 'source-login-refused' },
}

/** Codes of the driver's own errors. */
const LOST = new Set([
  'ESOCKET',
  'ECLOSE',
  'ETIMEOUT',
  'EINSTLOOKUP',
  'ENOTOPEN',
  'EINVALIDSTATE',
  'ECANCEL',
  'ETIMEDOUT',
])

export const CONSTRAINT_VIOLATED = 547
export const SNAPSHOT_OFF = 3952

/** A Failure passes as it is; an error of neither the server nor the connection is a defect, and is thrown as it is. */
export function toSqlServerFailure(error: unknown, setting: FailureSetting): Error {
  if (error instanceof Failure) return error
  const number = errorNumber(error)
  if (number !== undefined) return serverFailure(number, setting)
  return (
    connectionFailure(error, setting) ?? (error instanceof Error ? error : new Error('what was thrown is no error'))
  )
}

/** Of what the server said; undefined for anything else. */
export function errorNumber(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('number' in error)) return undefined
  return typeof error.number === 'number' ? error.number : undefined
}

export function serverFailure(number: number, { doing, side }: FailureSetting): Failure {
  const condition = CONDITIONS[number]
  const what = condition === undefined ? `error ${number}` : `${condition.name}, error ${number}`
  const code = failureCode(condition, side)
  const hints = condition?.hint === undefined ? hintsFor(code) : [condition.hint]
  return new Failure(code, `${doing} failed (${what})`, { hints, context: { number } })
}

function failureCode(condition: Condition | undefined, side: 'source' | 'target'): FailureCode {
  const code = condition?.code
  const isOfSource =
    code === 'object-missing-in-source' || code === 'schema-changed' || code === 'yielded-to-application'
  if (code !== undefined && (side === 'source' || !isOfSource)) return code
  return side === 'target' ? 'target-failed' : 'source-failed'
}

function hintsFor(code: FailureCode): string[] {
  if (code === 'missing-rights') {
    return ['The login needs SELECT and VIEW DEFINITION on the database; to rebuild into it, db_owner.']
  }
  if (code === 'source-login-refused') return ['Check the login, its password (passwordFile), and that it may connect.']
  if (code === 'source-not-found') {
    return ['The name of the database stands at the end of the address: sqlserver://user@host:port/database.']
  }
  return []
}

/** A statement that took longer than its session allows; nothing is lost but that statement. */
export function isTimeout(error: unknown): boolean {
  return error instanceof Error && errorNumber(error) === undefined && codeOf(error) === 'ETIMEOUT'
}

/** Nothing is known of what was sent last. */
export function isConnectionLoss(error: unknown): boolean {
  return error instanceof Error && errorNumber(error) === undefined && LOST.has(codeOf(error))
}

function connectionFailure(error: unknown, { doing }: FailureSetting): Failure | undefined {
  if (!(error instanceof Error)) return undefined
  const code = codeOf(error)
  const cause = error.cause instanceof Error ? codeOf(error.cause) : ''
  if (/CERT|_TLS_|^ERR_SSL|SELF_SIGNED|UNABLE_TO_/.test(`${cause} ${code}`)) {
    return new Failure(
      'source-login-refused',
      `${doing} failed: the server's certificate was refused (${cause || code})`,
      {
        hints: ['Give the authority that signed the certificate (caFile), or hostNameInCertificate in the address.'],
      },
    )
  }
  if (code === 'EENCRYPT') {
    return new Failure('source-login-refused', `${doing} failed: one side wants encryption and the other does not`, {
      hints: ['Connections are encrypted unless the address ends in ?encrypt=false.'],
    })
  }
  if (code === 'ELOGIN') {
    return new Failure('source-login-refused', `${doing} failed: the login was refused`, {
      hints: hintsFor('source-login-refused'),
    })
  }
  if (!LOST.has(code)) return undefined
  return new Failure('source-unreachable', `${doing} failed: the server cannot be reached (${cause || code})`, {
    hints: ['Check the host, the port and the network between, and whether the server is up.'],
  })
}

function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : ''
}
