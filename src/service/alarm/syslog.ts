/**
 * Alarms as syslog messages (RFC 5424), one for each: over UDP (RFC 5426), over TCP with octet counting (RFC 6587), or over
 * TLS (RFC 5425). UDP tells nobody whether it arrived.
 */
import { createSocket } from 'node:dgram'
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { Failure } from '../../errors.ts'
import type { KeptAlarm } from './alarm-store.ts'
import type { Channel, Message } from './notifier.ts'
import type { Language } from './text.ts'

/** local0 */
const FACILITY = 16
const SEVERITY = { critical: 2, warning: 4, over: 5 } as const
/** Private enterprise number of documentation examples (RFC 5612): we have none of our own. */
const STRUCTURE_ID = 'chartkeep@32473'
const BOM = '\ufeff'
const TIMEOUT_MS = 20_000

export interface SyslogSettings {
  readonly host: string
  readonly port: number
  readonly transport: 'udp' | 'tcp' | 'tls'
  readonly caPem: string | null
}

export function syslog(settings: SyslogSettings, language: Language): Channel {
  const { host, port, transport } = settings
  return {
    name: `syslog ${transport} ${host}:${port}`,
    send: async (message, signal) => {
      const lines = syslogLines(message, language)
      try {
        await (transport === 'udp' ? sendUdp(settings, lines) : sendStream(settings, lines, signal))
      } catch (error) {
        const code = error instanceof Error && 'code' in error ? String(error.code) : 'no answer'
        throw new Failure('alarm-not-delivered', `syslog server ${host}:${port} took nothing: ${code}`, {
          hints: ['See that the server can be reached, and that host, port and transport in chartkeep.yaml are right.'],
        })
      }
    },
  }
}

export function syslogLines({ host, at, open, over }: Message, language: Language): string[] {
  return [...open, ...over].map((alarm) => lineOf(alarm, { host, at, language }))
}

function lineOf(alarm: KeptAlarm, { host, at, language }: { host: string; at: string; language: Language }): string {
  const isOver = alarm.endedAt !== null
  const priority = FACILITY * 8 + (isOver ? SEVERITY.over : SEVERITY[alarm.severity])
  const hostName = headerWord(host.slice(host.indexOf('@') + 1), 255)
  const structure = Object.entries({ id: alarm.id, kind: alarm.kind, subject: alarm.subject, since: alarm.raisedAt })
    .map(([name, value]) => ` ${name}="${value.replace(/[\\"\]]/g, '\\$&')}"`)
    .join('')
  const kind = headerWord(isOver ? 'alarm-over' : 'alarm', 32)
  const text = alarm.text[language].replace(/[\r\n]+/g, ' ')
  return `<${priority}>1 ${at} ${hostName} chartkeep - ${kind} [${STRUCTURE_ID}${structure}] ${BOM}${text}`
}

/** Printable ASCII without spaces; `-` for nothing. */
function headerWord(text: string, lengthMax: number): string {
  return text.replace(/[^\x21-\x7e]/g, '').slice(0, lengthMax) || '-'
}

async function sendUdp({ host, port }: SyslogSettings, lines: readonly string[]): Promise<void> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
  try {
    for (const line of lines) {
      await new Promise<void>((resolve, reject) => {
        socket.once('error', reject)
        socket.send(Buffer.from(line), port, host, (error) => (error ? reject(error) : resolve()))
      })
    }
  } finally {
    socket.close()
  }
}

async function sendStream(settings: SyslogSettings, lines: readonly string[], signal: AbortSignal): Promise<void> {
  const { host, port, transport, caPem } = settings
  const frames = lines.map((line) => `${Buffer.byteLength(line)} ${line}`).join('')
  await new Promise<void>((resolve, reject) => {
    const socket =
      transport === 'tls'
        ? connectTls({ host, port, ...(caPem !== null && { ca: caPem }) }, () => socket.end(frames))
        : connect({ host, port }, () => socket.end(frames))
    const stop = () => socket.destroy(Object.assign(new Error('stopped'), { code: 'ECANCELED' }))
    socket.setTimeout(TIMEOUT_MS, stop)
    signal.addEventListener('abort', stop, { once: true })
    socket.once('error', reject)
    socket.once('close', (hadError) => {
      signal.removeEventListener('abort', stop)
      if (!hadError) resolve()
    })
    socket.resume()
  })
}
