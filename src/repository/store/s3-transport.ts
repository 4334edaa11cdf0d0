/**
 * The HTTP under the minio client: Node's own, with three time-outs, and without the client's retries.
 *
 * The client takes a `transport`, and that is where its traps (F35) can be kept out. It has no time-outs: a server that
 * accepts and never answers would hold a backup for ever (F31). For some statuses it throws the answer away, S3 code
 * and all, and leaves the body unread in its socket: so such an answer is read here and handed over whole, as an
 * `AnswerRefused`, before the client can see it.
 */
import http from 'node:http'
import https from 'node:https'
import type { Socket } from 'node:net'

export interface TimeOuts {
  /** Until the connection stands, with TLS. */
  readonly connectMs: number
  /** Without a byte in either direction. Long enough for a store to make 64 MiB durable. */
  readonly idleMs: number
  /** For one request with its answer. 64 MiB on a line of 1 Mbit/s take nine minutes. */
  readonly totalMs: number
}

export const defaultTimeOuts: TimeOuts = { connectMs: 10_000, idleMs: 60_000, totalMs: 15 * 60_000 }

/** The statuses of which minio-js 8 keeps only the number (`retryHttpCodes` in its request.ts). */
const statusesSwallowed = new Set([408, 429, 499, 500, 502, 503, 504, 520])
const ERROR_BODY_BYTES_MAX = 64 * 1024

/** An answer that says no, carried past the client as an error. Holds nothing of the request. */
export class AnswerRefused extends Error {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly body: Uint8Array

  constructor(status: number, headers: http.IncomingHttpHeaders, body: Uint8Array) {
    super(`status ${status}`)
    this.name = 'AnswerRefused'
    this.status = status
    this.headers = headers
    this.body = body
  }
}

class TimeOut extends Error {
  readonly code = 'ETIMEDOUT'

  constructor(what: keyof TimeOuts, ms: number) {
    super(`no end after ${ms} ms (${what})`)
    this.name = 'TimeOut'
  }
}

type OnResponse = (response: http.IncomingMessage) => void

export function makeTransport(isSecure: boolean, timeOuts: TimeOuts): Pick<typeof http, 'request'> {
  const send = isSecure ? https.request : http.request
  // The client calls it in one form only: options, then callback.
  const request = (options: unknown, onResponse: unknown): http.ClientRequest => {
    const call = send(options as https.RequestOptions, (response) => {
      if (statusesSwallowed.has(response.statusCode ?? 0)) void handOver(call, response)
      else (onResponse as OnResponse)(response)
    })
    limitTime(call, timeOuts)
    return call
  }
  return { request: request as typeof http.request }
}

async function handOver(call: http.ClientRequest, response: http.IncomingMessage): Promise<void> {
  try {
    const body = await readUpTo(response, ERROR_BODY_BYTES_MAX)
    call.emit('error', new AnswerRefused(response.statusCode ?? 0, response.headers, body))
  } catch (error) {
    call.emit('error', error)
  }
}

/** The beginning of a body of which nobody needs the rest. */
export async function readUpTo(response: http.IncomingMessage, bytesMax: number): Promise<Uint8Array> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes >= bytesMax) break
  }
  return Buffer.concat(chunks).subarray(0, bytesMax)
}

function limitTime(call: http.ClientRequest, timeOuts: TimeOuts): void {
  let response: http.IncomingMessage | null = null
  // Once there is an answer, its reader is who must hear of the end; until then, the request's.
  const end = (what: keyof TimeOuts) => (response ?? call).destroy(new TimeOut(what, timeOuts[what]))
  const total = setTimeout(() => end('totalMs'), timeOuts.totalMs)
  call.setTimeout(timeOuts.idleMs, () => end('idleMs'))
  call.once('response', (arrived) => {
    response = arrived
  })
  call.once('socket', (socket: Socket) => limitConnecting(socket, timeOuts.connectMs, () => end('connectMs')))
  call.once('close', () => clearTimeout(total))
}

/** A socket out of the pool is connected already. */
function limitConnecting(socket: Socket, connectMs: number, end: () => void): void {
  if (!socket.connecting) return
  const timer = setTimeout(end, connectMs)
  const stop = () => clearTimeout(timer)
  socket.once('encrypted' in socket ? 'secureConnect' : 'connect', stop)
  socket.once('close', stop)
}
