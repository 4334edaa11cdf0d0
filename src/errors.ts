/**
 * Every way in which chartkeep can fail, in one table.
 *
 * Three kinds of trouble exist. A *Failure* is something the world did, with a code from this table. A *defect* is an
 * assertion of ours that did not hold (`defect()`): it ends the operation, and its text stays off the wire. A
 * *cancellation* is an AbortSignal that fired, and is neither.
 *
 * Message: what failed, on which object, with both values when two disagree; lower case, no full stop. Hints: what to
 * do next, in sentences, naming commands that exist. Never a row value in either: rows are patients (I9).
 */

/** `retry`: whether the same call may succeed later without anybody changing anything. */
export const failures = {
  'bad-usage': { exit: 2, http: 400, retry: false },
  'bad-configuration': { exit: 3, http: 400, retry: false },
  'missing-secret': { exit: 4, http: 500, retry: false },
  'wrong-key': { exit: 5, http: 403, retry: false },
  cancelled: { exit: 6, http: 499, retry: true },

  'source-unreachable': { exit: 10, http: 503, retry: true },
  'source-login-refused': { exit: 11, http: 503, retry: false },
  'source-not-found': { exit: 12, http: 404, retry: false },
  'missing-rights': { exit: 13, http: 403, retry: false },
  'rows-hidden': { exit: 14, http: 409, retry: false },
  'unsupported-server': { exit: 15, http: 409, retry: false },
  'setting-not-pinned': { exit: 16, http: 409, retry: false },
  'schema-changed': { exit: 17, http: 409, retry: true },
  'yielded-to-application': { exit: 18, http: 503, retry: true },
  'untranslatable-text': { exit: 19, http: 409, retry: false },
  'duplicate-key': { exit: 20, http: 409, retry: false },
  'source-failed': { exit: 21, http: 502, retry: false },
  'object-missing-in-source': { exit: 22, http: 404, retry: false },
  'cannot-capture': { exit: 23, http: 409, retry: false },
  'slot-missing': { exit: 24, http: 409, retry: false },
  'slot-lost': { exit: 25, http: 409, retry: false },
  'slot-in-use': { exit: 26, http: 409, retry: true },
  'slot-exists': { exit: 27, http: 409, retry: false },
  'history-differs': { exit: 28, http: 409, retry: false },

  'repository-not-found': { exit: 30, http: 404, retry: false },
  'repository-exists': { exit: 31, http: 409, retry: false },
  'repository-format': { exit: 32, http: 409, retry: false },
  'repository-damaged': { exit: 33, http: 500, retry: false },
  'snapshot-not-found': { exit: 34, http: 404, retry: false },
  'object-missing': { exit: 35, http: 404, retry: false },
  'object-exists': { exit: 36, http: 409, retry: false },
  'change-log-gap': { exit: 37, http: 409, retry: false },
  'signature-refused': { exit: 38, http: 409, retry: false },
  'history-rewritten': { exit: 39, http: 409, retry: false },

  'store-unreachable': { exit: 40, http: 503, retry: true },
  'store-refused': { exit: 41, http: 502, retry: false },
  'store-full': { exit: 42, http: 507, retry: false },
  'store-unsuitable': { exit: 43, http: 409, retry: false },
  'store-lied': { exit: 44, http: 502, retry: true },
  'local-disk-full': { exit: 45, http: 507, retry: false },
  'lease-held': { exit: 46, http: 409, retry: true },
  'lease-lost': { exit: 47, http: 409, retry: true },
  'clock-doubtful': { exit: 48, http: 409, retry: false },

  'target-not-empty': { exit: 50, http: 409, retry: false },
  'target-is-source': { exit: 51, http: 409, retry: false },
  'target-failed': { exit: 52, http: 502, retry: false },
  'restore-unproved': { exit: 53, http: 500, retry: false },
  'plan-moved': { exit: 54, http: 409, retry: false },
  'plan-refused': { exit: 55, http: 403, retry: false },
  'outcome-unknown': { exit: 56, http: 500, retry: false },
  'job-stalled': { exit: 58, http: 504, retry: true },
  'alarm-not-delivered': { exit: 59, http: 502, retry: true },

  'findings-failed': { exit: 60, http: 409, retry: false },
  'findings-inconclusive': { exit: 61, http: 409, retry: false },
  'findings-warned': { exit: 57, http: 200, retry: false },
  'protection-late': { exit: 62, http: 503, retry: true },

  'token-refused': { exit: 63, http: 401, retry: false },
  'role-refused': { exit: 64, http: 403, retry: false },
  'too-many-requests': { exit: 65, http: 429, retry: true },
  'request-too-large': { exit: 66, http: 413, retry: false },
  'request-conflicts': { exit: 67, http: 409, retry: false },
  'request-timed-out': { exit: 68, http: 504, retry: true },
  'not-found': { exit: 69, http: 404, retry: false },
  'not-available': { exit: 71, http: 501, retry: false },

  defect: { exit: 70, http: 500, retry: false },
} as const satisfies Record<string, { exit: number; http: number; retry: boolean }>

export type FailureCode = keyof typeof failures

/** Keys, counts, positions, object names. Never row values. */
export type FailureContext = Readonly<Record<string, string | number | boolean>>

export interface FailureOptions {
  readonly hints?: readonly string[]
  readonly context?: FailureContext
  readonly cause?: unknown
}

export class Failure extends Error {
  readonly code: FailureCode
  readonly hints: readonly string[]
  readonly context: FailureContext

  constructor(code: FailureCode, message: string, options: FailureOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'Failure'
    this.code = code
    this.hints = options.hints ?? []
    this.context = options.context ?? {}
  }

  get exitStatus(): number {
    return failures[this.code].exit
  }

  get isTransient(): boolean {
    return failures[this.code].retry
  }
}

/** A Failure as plain data: what crosses threads, because structured clone drops class and code (F41). */
export interface FailureRecord {
  readonly code: FailureCode
  readonly message: string
  readonly hints: readonly string[]
  readonly context: FailureContext
}

export function toFailureRecord(error: unknown): FailureRecord {
  if (error instanceof Failure) {
    return { code: error.code, message: error.message, hints: error.hints, context: error.context }
  }
  return { code: 'defect', message: describeDefect(error), hints: [], context: {} }
}

export function fromFailureRecord(record: FailureRecord): Failure {
  return new Failure(record.code, record.message, { hints: record.hints, context: record.context })
}

/** An assertion of ours about our own code. `message` is written by us and holds no row value. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Failure('defect', `assertion failed: ${message}`)
}

/**
 * What may be shown of an error nobody expected: its class and where it arose. Its message may quote rows (F42), so it
 * is not shown.
 */
function describeDefect(error: unknown): string {
  if (!(error instanceof Error)) return 'unexpected failure of no known kind'
  const systemCode = 'code' in error && typeof error.code === 'string' ? ` ${error.code}` : ''
  const frame = error.stack?.split('\n').find((line) => line.trimStart().startsWith('at '))
  return `unexpected ${error.name}${systemCode} ${frame?.trim() ?? ''}`.trimEnd()
}
