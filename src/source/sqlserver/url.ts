/**
 * Addresses of SQL Server: `sqlserver://user@host:port/database?encrypt=…`.
 *
 * The password never is in a URL: URLs are printed. Connections are encrypted, and the certificate is checked, unless the
 * address says otherwise in words that a DBA knows from other programs: `encrypt` is `true`, `strict` (TDS 8.0, SQL
 * Server 2022) or `false`; `trustServerCertificate=true` takes any certificate; `hostNameInCertificate` is the name that the
 * certificate is for, where that is not the host.
 */
import { Failure } from '../../errors.ts'

export interface ServerAddress {
  readonly host: string
  readonly port: number
  readonly user: string | undefined
  readonly database: string | undefined
  readonly encrypt: 'true' | 'strict' | 'false'
  readonly trustServerCertificate: boolean
  readonly hostNameInCertificate: string | undefined
  /** For people: host, port and database. */
  readonly shown: string
}

const SCHEMES = ['sqlserver:', 'mssql:']
const DEFAULT_PORT = 1433
const PARAMETERS = new Set(['encrypt', 'trustServerCertificate', 'hostNameInCertificate'])

/** @throws bad-configuration */
export function parseUrl(text: string): ServerAddress {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !SCHEMES.includes(url.protocol)) {
    throw badUrl('a SQL Server must be given as sqlserver://user@host:port/database')
  }
  if (url.password !== '') {
    throw badUrl('the address holds a password, and addresses are printed', ['Give the password in passwordFile.'])
  }
  for (const name of url.searchParams.keys()) {
    if (!PARAMETERS.has(name)) throw badUrl(`the address has a parameter ${name}, which chartkeep does not know`)
  }
  const host = decodeURIComponent(url.hostname).replace(/^\[|\]$/g, '') || 'localhost'
  const port = Number(url.port || DEFAULT_PORT)
  const database = decodeURIComponent(url.pathname.slice(1)) || undefined
  return {
    host,
    port,
    user: decodeURIComponent(url.username) || undefined,
    database,
    encrypt: oneOf(url, 'encrypt', ['true', 'strict', 'false']),
    trustServerCertificate: oneOf(url, 'trustServerCertificate', ['false', 'true']) === 'true',
    hostNameInCertificate: url.searchParams.get('hostNameInCertificate') ?? undefined,
    shown: `${host}:${port}${database === undefined ? '' : `/${database}`}`,
  }
}

/** The first is meant when the address says nothing. */
function oneOf<Choice extends string>(url: URL, name: string, choices: readonly [Choice, ...Choice[]]): Choice {
  const given = url.searchParams.get(name)
  if (given === null) return choices[0]
  const choice = choices.find((known) => known === given)
  if (choice === undefined) throw badUrl(`${name} is '${given}', not one of ${choices.join(', ')}`)
  return choice
}

function badUrl(message: string, hints: readonly string[] = []): Failure {
  return new Failure('bad-configuration', message, { hints })
}
