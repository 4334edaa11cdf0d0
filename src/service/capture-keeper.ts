/**
 * Capture of one source, kept running: whatever ends it, it is started again after a pause, twice as long each time. What
 * passes by itself capture waits out on its own; what reaches us is what it takes for lasting (a wrong password, a lease
 * that another host has), and lasting things are mended by people at night, too.
 */
import type { CaptureEvent } from '../backup/capture/events.ts'
import { Failure, type FailureRecord, toFailureRecord } from '../errors.ts'
import type { AuditLog } from '../repository/audit.ts'
import type { CaptureState } from './contract.ts'
import type { Log, ServiceWorld } from './world.ts'

const PAUSE_MIN_MS = 5_000
const PAUSE_MAX_MS = 5 * 60_000

export interface CaptureParts {
  readonly source: string
  /** Runs until the signal fires, or it cannot go on. */
  readonly capture: (onEvent: (event: CaptureEvent) => void, signal: AbortSignal) => Promise<void>
  readonly audit: AuditLog
  readonly world: ServiceWorld
  readonly log: Log
}

export class CaptureKeeper {
  readonly #parts: CaptureParts
  #state: CaptureState['state'] = 'stopped'
  #reason = 'not started yet'
  #restarts = 0
  #pauseMs = PAUSE_MIN_MS
  #downSinceMs: number | null = null
  #lastCode: string | null = null

  constructor(parts: CaptureParts) {
    this.#parts = parts
  }

  get state(): CaptureState {
    return { source: this.#parts.source, state: this.#state, reason: this.#reason, restarts: this.#restarts }
  }

  /** Since when nothing is captured here, by our clock; null while it is. */
  get downSinceMs(): number | null {
    return this.#downSinceMs
  }

  /** Returns when the signal has fired and what had arrived is kept. */
  async keep(signal: AbortSignal): Promise<void> {
    const { world } = this.#parts
    this.#downSinceMs = world.nowMs()
    while (!signal.aborted) {
      await this.#once(signal)
      if (signal.aborted) break
      this.#restarts += 1
      const pauseMs = this.#pauseMs
      this.#pauseMs = Math.min(PAUSE_MAX_MS, pauseMs * 2)
      await world.sleep(pauseMs, signal).catch(() => {})
    }
    this.#state = 'stopped'
    this.#reason = 'this service does not capture now'
    this.#downSinceMs = null
  }

  async #once(signal: AbortSignal): Promise<void> {
    const { capture } = this.#parts
    try {
      await capture((event) => this.#onEvent(event), signal)
      if (!signal.aborted) await this.#down(toFailureRecord(new Failure('cannot-capture', 'capture ended by itself')))
    } catch (error) {
      if (!signal.aborted) await this.#down(toFailureRecord(error))
    }
  }

  #onEvent(event: CaptureEvent): void {
    const { source, log, world } = this.#parts
    if (event.kind === 'connected') this.#up()
    if (event.kind === 'pausing') this.#pausing(event)
    if (event.kind === 'sealed') {
      if (this.#state !== 'running') this.#up()
      return
    }
    const isBad = ['pausing', 'slot-alarm', 'slot-dropped', 'closed', 'dangers'].includes(event.kind)
    const more = event.kind === 'pausing' ? { code: event.code, message: event.message } : {}
    log({ level: isBad ? 'warn' : 'info', event: `capture.${event.kind}`, source, ...more })
    if (this.#state !== 'running') this.#downSinceMs ??= world.nowMs()
  }

  #up(): void {
    this.#state = 'running'
    this.#reason = ''
    this.#pauseMs = PAUSE_MIN_MS
    this.#downSinceMs = null
    this.#lastCode = null
  }

  #pausing({ code, message }: { readonly code: string; readonly message: string }): void {
    this.#state = 'pausing'
    this.#reason = `${code}: ${message}`
    this.#downSinceMs ??= this.#parts.world.nowMs()
  }

  async #down({ code, message }: FailureRecord): Promise<void> {
    const { source, log, world, audit } = this.#parts
    this.#pausing({ code, message })
    if (code === 'lease-held') this.#state = 'elsewhere'
    log({ level: 'error', event: 'capture.ended', source, code, message, restarts: this.#restarts })
    if (this.#lastCode === code) return
    this.#lastCode = code
    const time = new Date(world.nowMs()).toISOString()
    const entry = { time, actor: world.host, action: 'capture.run', subject: source, detail: code }
    await audit.append({ ...entry, outcome: 'failed' }).catch(() => {})
  }
}
