/**
 * One request to an S3 store, one answer read to its end.
 *
 * The minio client signs and addresses; nothing else of it is used. Its own verbs are where its traps lie (F35): streams
 * that end early and are stored, multipart uploads that adopt stale parts, lists that trust a cut XML. Here a body is
 * always whole in memory, with its length and SHA-256 under the signature, and an answer counts only when its own
 * framing says that it is complete. Statuses are not judged here: `s3-failure.ts` does that.
 */
import { createHash } from 'node:crypto'
import http, { type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import https from 'node:https'
import type { LookupFunction } from 'node:net'
import { Client } from 'minio'
import { Failure } from '../../errors.ts'
import type { StoreSettings } from './contract.ts'
import type { S3Address } from './s3-address.ts'
import { failureOfConnection } from './s3-failure.ts'
import { AnswerRefused, defaultTimeOuts, makeTransport, readUpTo, type TimeOuts } from './s3-transport.ts'

export interface S3Request {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'DELETE'
  /** The whole S3 key, with the prefix; absent for a request to the bucket. */
  readonly objectName?: string
  readonly query?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
  /** In hex; only a probe says anything but the truth here, to see whether the store looks. */
  readonly claimedSha256?: string
  /** A longer answer is refused before it is read, so that no store can fill our memory. */
  readonly answerBytesMax?: number
}

export interface S3Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Uint8Array
}

/** What a wire takes from the machine it runs on. */
export interface S3World {
  readonly timeOuts?: TimeOuts
  /** The machine's own resolver when it is not given. */
  readonly lookup?: LookupFunction
}

const XML_BYTES_MAX = 16 * 1024 * 1024
const SOCKETS_MAX = 16
/** The client would otherwise make errors of its own out of answers: every status is ours to judge. */
const everyStatus = Array.from({ length: 500 }, (_, index) => 100 + index)

export class S3Wire {
  readonly address: S3Address
  readonly #client: Client
  readonly #agent: http.Agent

  /** @throws missing-secret, bad-configuration */
  constructor(address: S3Address, settings: StoreSettings, world: S3World = {}) {
    if (!settings.accessKey || !settings.secretKey) throw noCredentials(address)
    this.address = address
    const pool = { keepAlive: true, maxSockets: SOCKETS_MAX, ...(world.lookup ? { lookup: world.lookup } : {}) }
    this.#agent = address.isSecure
      ? new https.Agent({ ...pool, ...(settings.caPem ? { ca: settings.caPem } : {}) })
      : new http.Agent(pool)
    this.#client = makeClient(address, settings, { agent: this.#agent, timeOuts: world.timeOuts ?? defaultTimeOuts })
    // Left to itself the client signs no payload over https, and the store could not refuse a changed one.
    this.#client.enableSHA256 = true
  }

  /** @throws store-unreachable, store-refused (a certificate), store-lied (an answer of uncertain length) */
  async request(request: S3Request): Promise<S3Answer> {
    try {
      const response = await this.#send(request)
      return {
        status: response.statusCode ?? 0,
        headers: response.headers,
        body: await readBody(response, request),
      }
    } catch (error) {
      if (error instanceof AnswerRefused) return { status: error.status, headers: error.headers, body: error.body }
      if (error instanceof Failure) throw error
      throw failureOfConnection(error, this.address.url)
    }
  }

  close(): void {
    this.#agent.destroy()
  }

  async #send(request: S3Request): Promise<IncomingMessage> {
    const body = request.body ?? new Uint8Array(0)
    const sha256 = request.claimedSha256 ?? createHash('sha256').update(body).digest('hex')
    const options = {
      method: request.method,
      bucketName: this.address.bucket,
      headers: { ...request.headers, 'content-length': String(body.byteLength) },
      ...(request.objectName === undefined ? {} : { objectName: request.objectName }),
      ...(request.query === undefined ? {} : { query: encodeQuery(request.query) }),
    }
    const payload = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
    return await this.#client.makeRequestStreamAsync(options, payload, sha256, everyStatus, this.address.region)
  }
}

function makeClient(
  address: S3Address,
  settings: StoreSettings,
  { agent, timeOuts }: { agent: http.Agent; timeOuts: TimeOuts },
): Client {
  try {
    return new Client({
      endPoint: address.host,
      ...(address.port ? { port: address.port } : {}),
      useSSL: address.isSecure,
      accessKey: settings.accessKey ?? '',
      secretKey: settings.secretKey ?? '',
      region: address.region,
      pathStyle: address.isPathStyle,
      transport: makeTransport(address.isSecure, timeOuts),
      transportAgent: agent,
      retryOptions: { disableRetry: true },
    })
  } catch (cause) {
    throw new Failure('bad-configuration', `the endpoint ${address.host} is no name of a host`, { cause })
  }
}

/** As signatures want it: everything but unreserved characters in percent signs, also those that JavaScript leaves. */
function encodeQuery(query: Readonly<Record<string, string>>): string {
  const encode = (text: string) =>
    encodeURIComponent(text).replace(
      /[!'()*]/g,
      (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
    )
  return Object.entries(query)
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .join('&')
}

/**
 * Node notices a body that is shorter than its Content-Length or lacks its last chunk. A body that ends where the
 * connection ends cannot be told from half of it, and is refused.
 */
async function readBody(response: IncomingMessage, request: S3Request): Promise<Uint8Array> {
  const isSuccess = response.statusCode === 200 || response.statusCode === 206
  const bytesMax = request.answerBytesMax ?? XML_BYTES_MAX
  if (request.method === 'HEAD' || response.statusCode === 204 || response.statusCode === 304) {
    response.resume()
    return new Uint8Array(0)
  }
  if (!isSuccess) return await readUpTo(response, XML_BYTES_MAX)
  const length = response.headers['content-length']
  if (length === undefined) return await readChunked(response, bytesMax)
  if (Number(length) > bytesMax) throw unfitAnswer(response, `is ${length} bytes long, where ${bytesMax} at most fit`)
  return await readSized(response, Number(length))
}

async function readSized(response: IncomingMessage, length: number): Promise<Uint8Array> {
  const body = new Uint8Array(length)
  let done = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    body.set(chunk, done)
    done += chunk.length
  }
  if (done !== length) throw unfitAnswer(response, `ended after ${done} bytes of ${length}`)
  return body
}

async function readChunked(response: IncomingMessage, bytesMax: number): Promise<Uint8Array> {
  if (response.headers['transfer-encoding'] !== 'chunked') throw unfitAnswer(response, 'does not say how long it is')
  const body = await readUpTo(response, bytesMax + 1)
  if (body.length > bytesMax) throw unfitAnswer(response, `is longer than the ${bytesMax} bytes that fit`)
  return Uint8Array.from(body)
}

function unfitAnswer(response: IncomingMessage, what: string): Failure {
  response.destroy()
  return new Failure('store-lied', `an answer of the store ${what}`, {
    hints: ['Look for a proxy between here and the store that cuts or rewrites answers.'],
    context: { status: response.statusCode ?? 0 },
  })
}

function noCredentials(address: S3Address): Failure {
  return new Failure('missing-secret', `no access key and secret key for ${address.url}`, {
    hints: ['Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.'],
  })
}
