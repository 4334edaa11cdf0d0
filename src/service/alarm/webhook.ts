/**
 * Alarms and signs of life as JSON over HTTP. With a secret, the body is signed, so that the receiver can tell who sent it:
 * `X-Chartkeep-Signature: sha256=<hex of HMAC-SHA-256(secret, body)>`.
 */
import { createHmac } from 'node:crypto'
import { Failure } from '../../errors.ts'
import type { KeptAlarm } from './alarm-store.ts'
import type { Channel, Message } from './notifier.ts'

export interface WebhookSettings {
  /** May hold a token in its path: never shown but for its host. */
  readonly url: string
  readonly secret: string | null
}

export type Post = (url: string, request: RequestInit) => Promise<Response>

export function webhook(settings: WebhookSettings, post: Post): Channel {
  const name = `webhook ${hostOf(settings.url)}`
  return { name, send: (message, signal) => postJson(settings, bodyOf(message), post, signal) }
}

/** @throws alarm-not-delivered */
export async function postJson(
  { url, secret }: WebhookSettings,
  value: unknown,
  post: Post,
  signal: AbortSignal,
): Promise<void> {
  const body = JSON.stringify(value)
  const headers: Record<string, string> = { 'content-type': 'application/json' }
  if (secret !== null) {
    headers['x-chartkeep-signature'] = `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`
  }
  const response = await post(url, { method: 'POST', headers, body, signal, redirect: 'error' })
  await response.body?.cancel()
  if (response.ok) return
  throw new Failure('alarm-not-delivered', `webhook ${hostOf(url)} answered ${response.status}`, {
    hints: ['See that the receiver runs and takes POST requests, and that the address in chartkeep.yaml is right.'],
  })
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : 'of no valid address'
}

function bodyOf({ host, at, open, over }: Message): unknown {
  return { type: 'alarms', host, at, open: open.map(shown), over: over.map(shown) }
}

function shown({ id, kind, severity, subject, text, raisedAt, endedAt, acknowledged }: KeptAlarm): unknown {
  return { id, kind, severity, subject, text, raisedAt, endedAt, acknowledged }
}
