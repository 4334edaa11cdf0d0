/** What the service takes from the world: given by the entry point, and by tests that make a week pass in seconds. */

export interface ServiceWorld {
  readonly nowMs: () => number
  /** Cut short, by an error, when the signal fires. */
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>
  readonly random: (bytes: number) => Uint8Array
  /** Account and host. */
  readonly host: string
  readonly temporaryDirectory: string
}

/** One line of the service's own log. Never a row value (I9). */
export interface LogLine {
  readonly level: 'info' | 'warn' | 'error'
  readonly event: string
  readonly [field: string]: string | number | boolean | null
}

export type Log = (line: LogLine) => void
