/**
 * What an S3 address says: `s3://bucket/prefix?endpoint=https://host:port&region=cn-north-1&style=path`.
 *
 * Only `bucket` is a must. Without an endpoint it is Amazon's own service. The prefix obeys the alphabet of keys, so
 * that no server, proxy or signature sees an address that can be written in two ways. An address never holds
 * credentials; one that does is refused without being repeated.
 */
import { Failure } from '../../errors.ts'
import { isSegment } from './key.ts'

export interface S3Address {
  readonly bucket: string
  /** Empty, or segments that end in a slash. */
  readonly prefix: string
  readonly host: string
  /** Zero: the port of the protocol. */
  readonly port: number
  readonly isSecure: boolean
  readonly region: string
  /** `https://host/bucket/key` rather than `https://bucket.host/key`. */
  readonly isPathStyle: boolean
  /** For people: the address as it was given, with nothing but known parameters. */
  readonly url: string
}

const AMAZON_HOST = 's3.amazonaws.com'
const DEFAULT_REGION = 'us-east-1'
const parameters = ['endpoint', 'region', 'style']
const bucketPattern = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/
/** Below the prefix of a repository the probe keeps its objects under a name that no key can have. */
const PROBE_SEGMENT = '~probe'

/** @throws bad-configuration */
export function parseS3Address(text: string, region?: string): S3Address {
  const url = parseUrl(text, "the repository's address")
  for (const name of url.searchParams.keys()) {
    if (!parameters.includes(name)) throw refuse(`the repository's address has an unknown parameter ${name}`)
  }
  if (!bucketPattern.test(url.hostname)) throw refuse(`the repository's address names no bucket`)
  const given = url.searchParams.get('endpoint')
  const endpoint = parseEndpoint(given ?? `https://${AMAZON_HOST}`)
  return {
    bucket: url.hostname,
    prefix: parsePrefix(url.pathname),
    ...endpoint,
    region: region ?? url.searchParams.get('region') ?? DEFAULT_REGION,
    isPathStyle: parseStyle(url.searchParams.get('style'), given !== null),
    url: text,
  }
}

/** The same bucket, in a corner where no listing of the repository looks. */
export function probeAddress(address: S3Address, name: string): S3Address {
  return { ...address, prefix: `${address.prefix}${PROBE_SEGMENT}/${name}/` }
}

function parsePrefix(path: string): string {
  const segments = path.split('/').filter((segment) => segment !== '')
  if (!segments.every(isSegment)) throw refuse(`the repository's prefix has characters outside [A-Za-z0-9._-]`)
  return segments.map((segment) => `${segment}/`).join('')
}

function parseEndpoint(text: string): { host: string; port: number; isSecure: boolean } {
  const url = parseUrl(text, 'the endpoint')
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw refuse('the endpoint is neither http: nor https:')
  if (url.pathname !== '/' || url.search !== '') throw refuse('the endpoint has a path or a query')
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: Number(url.port),
    isSecure: url.protocol === 'https:',
  }
}

/** Amazon is moving away from paths; nearly everybody else needs no name server for them. */
function parseStyle(style: string | null, hasEndpoint: boolean): boolean {
  if (style === null) return hasEndpoint
  if (style !== 'path' && style !== 'host') throw refuse(`the repository's address has style=${style}`)
  return style === 'path'
}

function parseUrl(text: string, what: string): URL {
  if (!URL.canParse(text)) throw refuse(`${what} is not a URL`)
  const url = new URL(text)
  if (url.username !== '' || url.password !== '') throw refuse(`${what} has credentials in it`)
  return url
}

function refuse(message: string): Failure {
  return new Failure('bad-configuration', message, {
    hints: [
      'Write s3://bucket/prefix?endpoint=https://host:port, with &region=… and &style=path|host where needed.',
      'Credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or from a file.',
    ],
  })
}
