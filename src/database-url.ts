/**
 * URLs of databases and stores: what may be shown of them, and where people hide passwords in them. A password may
 * stand before the `@` or in a parameter; neither is ever shown.
 */
import { Failure } from './errors.ts'

const HIDDEN = '***'
/** Parameters that libpq or a driver reads a secret from. */
const SECRET_PARAMETERS = ['password', 'sslpassword', 'secret', 'secretkey', 'secret_key', 'accesskey', 'token']
const SQL_SERVER_SCHEMES = ['sqlserver:', 'mssql:']
const DATABASE_SCHEMES = ['postgres:', 'postgresql:', ...SQL_SERVER_SCHEMES]

/** For people: secrets become `***`. Text that is no URL is not shown at all, because nobody knows what is in it. */
export function redactUrl(url: string): string {
  const parsed = parse(url)
  if (parsed === null) return '(not a URL)'
  if (parsed.password !== '') parsed.password = HIDDEN
  for (const name of secretParameters(parsed)) parsed.searchParams.set(name, HIDDEN)
  return parsed.href
}

export function hasPassword(url: string): boolean {
  const parsed = parse(url)
  return parsed !== null && (parsed.password !== '' || secretParameters(parsed).length > 0)
}

/**
 * A URL that was typed as an argument.
 * @throws bad-usage when it is not the URL of a database, or holds a password: every account of the machine sees arguments
 */
export function argumentUrl(url: string): string {
  const parsed = parseDatabaseUrl(url)
  if (!hasPassword(url)) return parsed.href
  throw new Failure('bad-usage', `${redactUrl(url)} holds a password, which every account of this machine can see`, {
    hints: ['Take it out, and give it by PGPASSWORD or the pgpass file; of SQL Server by SQLCMDPASSWORD.'],
  })
}

/** @throws bad-usage when it is not the URL of a database */
export function parseDatabaseUrl(url: string): URL {
  const parsed = parse(url)
  const example = 'A database is named like postgres://chartkeep@db.hospital:5432/icu.'
  if (parsed === null) throw new Failure('bad-usage', 'not the URL of a database', { hints: [example] })
  if (!DATABASE_SCHEMES.includes(parsed.protocol)) {
    throw new Failure('bad-usage', `not the URL of a database: ${redactUrl(url)}`, { hints: [example] })
  }
  return parsed
}

/** For where passwords come from: a matter of the programs that people know, not of the database. */
export function isSqlServerUrl(url: string): boolean {
  return SQL_SERVER_SCHEMES.includes(parse(url)?.protocol ?? '')
}

function secretParameters(url: URL): string[] {
  return [...url.searchParams.keys()].filter((name) => SECRET_PARAMETERS.includes(name.toLowerCase()))
}

function parse(url: string): URL | null {
  return URL.parse(url)
}
