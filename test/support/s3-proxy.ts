/**
 * A proxy that understands HTTP and lies on demand: it answers in the store's place, changes what the store answers, or
 * changes what it was sent. Requests keep their Host header, so that signatures hold.
 *
 * Each fault waits for the first request that it matches, and fires once, or at every one with `onward`.
 */
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createTlsServer } from 'node:https'

export interface HttpRequest {
  readonly method: string
  /** Path with query. */
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  /** Sends no more than so many bytes of the body, then ends the connection: with Content-Length, a cut answer. */
  readonly cutAfterBytes?: number
  /** Without a length: the body ends where the connection ends, as from a server of HTTP/1.0. */
  readonly isUnframed?: boolean
}

export interface HttpFault {
  readonly name: string
  readonly matches: (request: HttpRequest) => boolean
  readonly onward?: boolean
  /** Instead of asking the store. */
  readonly answer?: (request: HttpRequest) => HttpAnswer
  /** Before the store sees it; the signature is of what the client sent. */
  readonly changeRequest?: (request: HttpRequest) => HttpRequest
  readonly changeAnswer?: (answer: HttpAnswer, request: HttpRequest) => HttpAnswer
}

/** `tls`: speaks https to the client, and plain http to the store. */
export async function startS3Proxy(targetPort: number, tls?: { key: string; cert: string }): Promise<S3Proxy> {
  const proxy = new S3Proxy(targetPort, tls)
  await proxy.listen()
  return proxy
}

/** An answer that says no, in S3's form. */
export function s3Error(status: number, code: string): HttpAnswer {
  const body = Buffer.from(`<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code></Error>`)
  return { status, headers: { 'content-type': 'application/xml' }, body }
}

export class S3Proxy {
  /** Every request that has arrived, as `PUT /bucket/key`. */
  readonly requests: string[] = []
  readonly #targetPort: number
  readonly #scheme: string
  readonly #server: Server
  readonly #fired = new Set<HttpFault>()
  #faults: HttpFault[] = []

  constructor(targetPort: number, tls?: { key: string; cert: string }) {
    this.#targetPort = targetPort
    this.#scheme = tls ? 'https://localhost' : 'http://127.0.0.1'
    const listener = (incoming: IncomingMessage, outgoing: ServerResponse) => {
      this.#pass(incoming, outgoing).catch(() => outgoing.destroy())
    }
    this.#server = tls ? createTlsServer(tls, listener) : createServer(listener)
  }

  get endpoint(): string {
    const address = this.#server.address()
    if (typeof address !== 'object' || address === null) throw new Error('the proxy does not listen')
    return `${this.#scheme}:${address.port}`
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
  }

  /** Replaces the plan, and forgets the requests seen. */
  plan(...faults: HttpFault[]): void {
    this.#faults = faults
    this.#fired.clear()
    this.requests.length = 0
  }

  assertAllFired(): void {
    const idle = this.#faults.filter((fault) => !this.#fired.has(fault)).map((fault) => fault.name)
    if (idle.length > 0) throw new Error(`never fired, in ${this.requests.length} requests: ${idle.join(', ')}`)
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.#server.closeAllConnections()
    await closed
  }

  async #pass(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const asked = await readRequest(incoming)
    this.requests.push(`${asked.method} ${asked.path}`)
    const fault = this.#faults.find(
      (planned) => (planned.onward || !this.#fired.has(planned)) && planned.matches(asked),
    )
    if (fault) this.#fired.add(fault)
    const answer = fault?.answer?.(asked) ?? (await this.#ask(fault?.changeRequest?.(asked) ?? asked))
    sendAnswer(fault?.changeAnswer?.(answer, asked) ?? answer, asked, outgoing)
  }

  async #ask(asked: HttpRequest): Promise<HttpAnswer> {
    const { method, path, headers, body } = asked
    const answered = await new Promise<IncomingMessage>((resolve, reject) => {
      const options = { host: '127.0.0.1', port: this.#targetPort, method, path, headers, agent: false }
      request(options, resolve).on('error', reject).end(body)
    })
    return { status: answered.statusCode ?? 0, headers: answered.headers, body: await readAll(answered) }
  }
}

async function readRequest(incoming: IncomingMessage): Promise<HttpRequest> {
  const { method = '', url = '', headers } = incoming
  return { method, path: url, headers, body: await readAll(incoming) }
}

function sendAnswer(answer: HttpAnswer, asked: HttpRequest, outgoing: ServerResponse): void {
  const { connection, 'transfer-encoding': framing, 'content-length': given, ...headers } = answer.headers
  const length = asked.method === 'HEAD' ? given : String(answer.body.length)
  if (answer.isUnframed) {
    outgoing.shouldKeepAlive = false
    outgoing.useChunkedEncodingByDefault = false
    outgoing.writeHead(answer.status, { ...headers, connection: 'close' })
  } else {
    const isBodiless = answer.status === 204 || length === undefined
    outgoing.writeHead(answer.status, { ...headers, ...(isBodiless ? {} : { 'content-length': length }) })
  }
  if (answer.cutAfterBytes === undefined) outgoing.end(answer.body)
  else outgoing.write(answer.body.subarray(0, answer.cutAfterBytes), () => outgoing.destroy())
}

async function readAll(message: IncomingMessage): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(message as AsyncIterable<Buffer>))
}
