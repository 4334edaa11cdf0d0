/**
 * URLs of databases and stores: what may be shown of them, and where people hide passwords in them. A password may
 * stand before the `@` or in a parameter; both are taken out, and neither is ever shown.
 */
import { Failure } from './errors.ts'

export interface UrlParts {
  /** Without any password. */
  readonly url: string
  /** Decoded; null when the URL held none. */
  readonly password: string | null
}

const HIDDEN = '***'
/** Parameters that libpq or a driver reads a secret from. */
const SECRET_PARAMETERS = ['password', 'sslpassword', 'secret', 'secretkey', 'secret_key', 'accesskey', 'token']
const DATABASE_SCHEMES = ['postgres:', 'postgresql:', 'sqlserver:', 'mssql:']

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

/** For a URL typed as an argument: people paste them whole. The password travels apart from here on. */
export function splitPassword(url: string): UrlParts {
  const parsed = parseDatabaseUrl(url)
  const inParameters = parsed.searchParams.get('password')
  const password = parsed.password !== '' ? decode(parsed.password) : inParameters
  parsed.password = ''
  for (const name of secretParameters(parsed)) parsed.searchParams.delete(name)
  return { url: parsed.href, password: password === '' ? null : password }
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

function secretParameters(url: URL): string[] {
  return [...url.searchParams.keys()].filter((name) => SECRET_PARAMETERS.includes(name.toLowerCase()))
}

function parse(url: string): URL | null {
  return URL.parse(url)
}

/** A lone `%` is not an escape; then the password is what was typed. */
function decode(encoded: string): string {
  try {
    return decodeURIComponent(encoded)
  } catch {
    return encoded
  }
}
