/** Alarms by mail, over a server of the hospital's own. */
import { createTransport } from 'nodemailer'
import { Failure } from '../../errors.ts'
import type { Channel } from './notifier.ts'
import { type Language, plainMessage } from './text.ts'

const TIMEOUT_MS = 20_000

export interface MailSettings {
  readonly host: string
  readonly port: number
  /** `tls`: from the first byte; `starttls`: must be upgraded to; `none`: on a network that is trusted. */
  readonly security: 'tls' | 'starttls' | 'none'
  readonly caPem: string | null
  readonly user: string | null
  readonly password: string | null
  readonly from: string
  readonly to: readonly string[]
}

export function mail(settings: MailSettings, language: Language): Channel {
  const { host, port, security, caPem, user, password, from, to } = settings
  return {
    name: `mail ${host}`,
    send: async (message) => {
      const transport = createTransport({
        host,
        port,
        secure: security === 'tls',
        requireTLS: security === 'starttls',
        ignoreTLS: security === 'none',
        ...(caPem !== null && { tls: { ca: caPem } }),
        ...(user !== null && { auth: { user, pass: password ?? '' } }),
        connectionTimeout: TIMEOUT_MS,
        greetingTimeout: TIMEOUT_MS,
        socketTimeout: TIMEOUT_MS,
      })
      const { subject, body } = plainMessage(message, language)
      try {
        await transport.sendMail({ from, to: [...to], subject, text: body })
      } catch (error) {
        throw notTaken(host, error)
      } finally {
        transport.close()
      }
    },
  }
}

/** The server's own words may quote what it was sent: its number says enough. */
function notTaken(host: string, error: unknown): Failure {
  const code = error instanceof Error && 'responseCode' in error ? Number(error.responseCode) : null
  const system = error instanceof Error && 'code' in error ? String(error.code) : 'no answer'
  const what = code === null || Number.isNaN(code) ? system : `reply ${code}`
  return new Failure('alarm-not-delivered', `mail server ${host} did not take the message: ${what}`, {
    hints: ['See that the mail server can be reached, and that sender and account in chartkeep.yaml are right.'],
  })
}
