/** What the service takes from the world: given by the entry point, and by tests that make a week pass in seconds. */

import { Failure } from '../errors.ts'

export interface ServiceWorld {
  readonly nowMs: () => number
  /** Cut short, by an error, when the signal fires. */
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>
  readonly random: (bytes: number) => Uint8Array
  /** Account and host. */
  readonly host: string
  readonly temporaryDirectory: string
}

/** What a wait is cut short with when what it was for has come. Made once: an error made every minute is not free. */
export const OVER = new Failure('cancelled', 'what was waited for has come')

/** One line of the service's own log. Never a row value (I9). */
export interface LogLine {
  readonly level: 'info' | 'warn' | 'error'
  readonly event: string
  readonly [field: string]: string | number | boolean | null
}

export type Log = (line: LogLine) => void
