/**
 * The API on a socket. Whoever is slow is cut, whoever is many is bounded:
 *
 *     headers not whole in 10 s, request not whole in 30 s      cut
 *     nothing taken or given for a minute                       cut: streams of events say something every 15 s
 *     more than a thousand connections                          not accepted
 *
 * In clear text it listens on this machine only: tokens and patients' rows go over it. TLS takes certificate and key from
 * files, and reads them again when told to (serve.ts: every hour).
 */
import { readFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import { type AddressInfo, isIP } from 'node:net'
import { createSecureContext } from 'node:tls'
import { getRequestListener } from '@hono/node-server'
import { Failure } from '../errors.ts'
import type { Api } from './application.ts'

export interface ListenRequest {
  readonly app: Api
  /** `127.0.0.1:8080`, `[::1]:8080`, `icu-backup:8443`; port 0 for any that is free. */
  readonly listen: string
  readonly tls: TlsFiles | null
  readonly timeouts?: Partial<Timeouts>
}

export interface TlsFiles {
  /** PEM: the certificate, and those of its authorities behind it. */
  readonly certificateFile: string
  /** PEM, not encrypted, readable by nobody else. */
  readonly keyFile: string
}

export interface Timeouts {
  readonly headersMs: number
  readonly requestMs: number
  readonly idleMs: number
  readonly checkedEveryMs: number
  readonly connectionsMax: number
}

export interface ApiServer {
  /** With the port that was taken. */
  readonly url: string
  /** After the certificate was renewed. @throws bad-configuration: the old one stays */
  reloadTls(): Promise<void>
  /** Takes no more requests, lets those that run end for so long, then cuts them. */
  close(graceMs: number): Promise<void>
}

const USUAL: Timeouts = {
  headersMs: 10_000,
  requestMs: 30_000,
  idleMs: 60_000,
  checkedEveryMs: 2_000,
  connectionsMax: 1_000,
}
const HEADER_BYTES_MAX = 16 * 1024
const HEADERS_MAX = 64
const REQUESTS_PER_CONNECTION_MAX = 10_000

/** @throws bad-usage, bad-configuration */
export async function listen(request: ListenRequest): Promise<ApiServer> {
  const { hostname, port } = parseListen(request.listen)
  refuseClearText(hostname, request.tls)
  const timeouts = { ...USUAL, ...request.timeouts }
  const server = await makeServer(request, timeouts)
  server.maxConnections = timeouts.connectionsMax
  server.maxHeadersCount = HEADERS_MAX
  server.maxRequestsPerSocket = REQUESTS_PER_CONNECTION_MAX
  server.setTimeout(timeouts.idleMs)
  await bind(server, hostname, port)
  const address = server.address() as AddressInfo
  const shownHost = isIP(hostname) === 6 ? `[${hostname}]` : hostname
  return {
    url: `${request.tls ? 'https' : 'http'}://${shownHost}:${address.port}`,
    reloadTls: async () => {
      if (!request.tls || !('setSecureContext' in server)) return
      server.setSecureContext(await readTls(request.tls))
    },
    close: (graceMs) => closeServer(server, graceMs),
  }
}

async function makeServer({ app, tls }: ListenRequest, timeouts: Timeouts): Promise<Server | TlsServer> {
  const options = {
    headersTimeout: timeouts.headersMs,
    requestTimeout: timeouts.requestMs,
    keepAliveTimeout: timeouts.idleMs,
    connectionsCheckingInterval: timeouts.checkedEveryMs,
    maxHeaderSize: HEADER_BYTES_MAX,
  }
  // A pooled fetch of tests or of a client library is not to be changed by us.
  const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false })
  if (!tls) return createServer(options, listener)
  return createTlsServer({ ...options, ...(await readTls(tls)), minVersion: 'TLSv1.2' }, listener)
}

/** @throws bad-configuration */
async function readTls({ certificateFile, keyFile }: TlsFiles): Promise<{ cert: Buffer; key: Buffer }> {
  const read = async (path: string) =>
    await readFile(path).catch((error: NodeJS.ErrnoException) => {
      throw new Failure('bad-configuration', `cannot read ${path} (${error.code})`)
    })
  const pair = { cert: await read(certificateFile), key: await read(keyFile) }
  try {
    createSecureContext(pair)
    return pair
  } catch {
    throw new Failure('bad-configuration', `${keyFile} is not the key of the certificate in ${certificateFile}`, {
      hints: ['Both are PEM; the key without a passphrase, in a file that nobody else may read.'],
    })
  }
}

function parseListen(text: string): { hostname: string; port: number } {
  const [, six, name, port] = /^(?:\[([0-9a-f:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/i.exec(text) ?? []
  const hostname = six ?? name
  if (hostname !== undefined && Number(port) <= 65_535) return { hostname, port: Number(port) }
  throw new Failure('bad-usage', `${text} is not an address to listen on`, {
    hints: ['Write it as 127.0.0.1:8080 or [::1]:8080.'],
  })
}

function refuseClearText(hostname: string, tls: TlsFiles | null): void {
  if (tls || /^(127\.\d+\.\d+\.\d+|::1|localhost)$/.test(hostname)) return
  throw new Failure('bad-configuration', `${hostname} is not this machine alone, and there is no certificate`, {
    hints: [
      'Tokens and rows of patients would go over the network in clear text. Give a certificate and its key,',
      'or listen on 127.0.0.1 behind a proxy that has one.',
    ],
  })
}

async function bind(server: Server | TlsServer, hostname: string, port: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', (error: NodeJS.ErrnoException) =>
    reject(new Failure('bad-configuration', `cannot listen on ${hostname}:${port} (${error.code})`)),
  )
  server.listen(port, hostname, resolve)
  await promise
}

async function closeServer(server: Server | TlsServer, graceMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  server.close(() => resolve())
  server.closeIdleConnections()
  const timer = setTimeout(() => server.closeAllConnections(), graceMs)
  await promise
  clearTimeout(timer)
}
