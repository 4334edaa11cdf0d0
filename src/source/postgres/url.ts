/**
 * Addresses of PostgreSQL servers: `postgres://user@host:port/database?sslmode=…`, as libpq reads them.
 *
 * The password never is in a URL: URLs are printed. `host` may be given as a parameter, for sockets in a directory.
 * sslmode means what it means to libpq, where `prefer` is the default and `require` does not look at the certificate
 * unless an authority is given; it is spelt out here because the driver's own reading of it differs between releases.
 */
import type { ConnectionOptions } from 'node:tls'
import { Failure } from '../../errors.ts'

export interface ServerAddress {
  readonly host: string
  readonly port: number
  readonly user: string | undefined
  readonly database: string | undefined
  readonly sslMode: SslMode
  readonly applicationName: string
  /** For people: host, port and database. */
  readonly shown: string
}

export type SslMode = (typeof SSL_MODES)[number]

const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const
const DEFAULT_PORT = 5432
const PARAMETERS = new Set(['host', 'port', 'sslmode', 'application_name'])

/** @throws bad-configuration */
export function parseUrl(text: string): ServerAddress {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:')) {
    throw badUrl('a source must be given as postgres://user@host:port/database')
  }
  if (url.password !== '') {
    throw badUrl('the address holds a password, and addresses are printed', [
      'Give the password in PGPASSWORD, a pgpass file, or passwordFile.',
    ])
  }
  for (const name of url.searchParams.keys()) {
    if (!PARAMETERS.has(name)) throw badUrl(`the address has a parameter ${name}, which chartkeep does not know`)
  }
  const host = url.searchParams.get('host') ?? (decodeURIComponent(url.hostname).replace(/^\[|\]$/g, '') || 'localhost')
  const port = Number(url.searchParams.get('port') ?? (url.port || DEFAULT_PORT))
  const database = decodeURIComponent(url.pathname.slice(1)) || undefined
  return {
    host,
    port,
    user: decodeURIComponent(url.username) || undefined,
    database,
    sslMode: parseSslMode(url.searchParams.get('sslmode') ?? 'prefer'),
    applicationName: url.searchParams.get('application_name') ?? 'chartkeep',
    shown: `${host}:${port}${database === undefined ? '' : `/${database}`}`,
  }
}

/** The same address for a session under another name: by its name we find our own sessions on the server. */
export function withApplicationName(url: string, applicationName: string): string {
  const changed = new URL(url)
  changed.searchParams.set('application_name', applicationName)
  return changed.href
}

/** What to try, in order: `false` is a connection without TLS. */
export function tlsAttempts(address: ServerAddress, caPem: string | undefined): (false | ConnectionOptions)[] {
  if (address.host.startsWith('/')) return [false]
  const authority = caPem === undefined ? {} : { ca: caPem }
  const unchecked = { rejectUnauthorized: false }
  const chainChecked = { ...authority, rejectUnauthorized: true, checkServerIdentity: () => undefined }
  switch (address.sslMode) {
    case 'disable':
    case 'allow':
      return [false]
    case 'prefer':
      return [unchecked, false]
    case 'require':
      return [caPem === undefined ? unchecked : chainChecked]
    case 'verify-ca':
      return [chainChecked]
    case 'verify-full':
      return [{ ...authority, rejectUnauthorized: true }]
  }
}

function parseSslMode(text: string): SslMode {
  const mode = SSL_MODES.find((known) => known === text)
  if (mode === undefined) throw badUrl(`sslmode is '${text}', not one of ${SSL_MODES.join(', ')}`)
  return mode
}

function badUrl(message: string, hints: readonly string[] = []): Failure {
  return new Failure('bad-configuration', message, { hints })
}
