/**
 * The service's own log: one JSON object a line, by pino. What goes in are lines of ours (world.ts): codes, names, counts, and
 * messages of Failures, which hold no row (I9). Whatever else might be handed in by mistake is struck out by name.
 */
import { type DestinationStream, pino } from 'pino'
import type { Log } from './world.ts'

const STRUCK_OUT = [
  'password',
  'passphrase',
  'secret',
  'token',
  'authorization',
  'url',
  'row',
  'value',
  'detail',
  'err',
  'cause',
]

export function jsonLog(destination: DestinationStream, nowMs: () => number): Log {
  const logger = pino(
    {
      base: null,
      messageKey: 'message',
      redact: { paths: STRUCK_OUT, censor: '[struck out]' },
      formatters: { level: (label) => ({ level: label }) },
      timestamp: () => `,"at":"${new Date(nowMs()).toISOString()}"`,
    },
    destination,
  )
  return ({ level, ...line }) => logger[level](line)
}
