/**
 * Capture of one source, kept running: whatever ends it, it is started again after a pause, twice as long each time. What
 * passes by itself capture waits out on its own; what reaches us is what it takes for lasting (a wrong password, a lease
 * that another host has), and lasting things are mended by people at night, too.
 */
import type { CaptureEvent } from '../backup/capture/events.ts'
import { Failure, type FailureRecord, toFailureRecord } from '../errors.ts'
import type { AuditLog } from '../repository/audit.ts'
import type { CaptureState } from './contract.ts'
import { type Log, OVER, type ServiceWorld } from './world.ts'

const PAUSE_MIN_MS = 5_000
const PAUSE_MAX_MS = 5 * 60_000
/** A capture that is well says so every minute, and one that is not says that. */
const SILENCE_MAX_MS = 20 * 60_000
const LOOK_MS = 60_000
/** To end in, once it was told to. */
const GRACE_MS = 5 * 60_000

const DEAF = new Failure('job-stalled', 'capture stands still, and does not end when it is told to', {
  hints: ['The process ends, and whatever started it starts it anew: see the log for what capture was about to do.'],
})

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
  #silentMs = 0

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

  /**
   * Returns when the signal has fired and what had arrived is kept.
   * @throws job-stalled when it stands still and does not listen: only a new process helps, for this one has its lease
   */
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
    const [still, over] = [new AbortController(), new AbortController()]
    const stop = AbortSignal.any([signal, still.signal])
    this.#silentMs = 0
    const capturing = capture((event) => this.#onEvent(event), stop)
    // Of one that is left behind, nobody else hears.
    capturing.catch(() => {})
    const deaf = this.#watch(still, over.signal)
    try {
      await Promise.race([capturing, deaf])
      if (!signal.aborted) await this.#down(toFailureRecord(new Failure('cannot-capture', 'capture ended by itself')))
    } catch (error) {
      if (!signal.aborted) await this.#down(toFailureRecord(error))
      if (error === DEAF) throw error
    } finally {
      over.abort(OVER)
    }
  }

  /** Counts pauses, not the clock, which may be moved (F31). Rejects when it was told to end and did not. */
  async #watch(still: AbortController, over: AbortSignal): Promise<never> {
    const { sleep } = this.#parts.world
    const pause = (ms: number) => sleep(ms, over).catch(() => {})
    for (; this.#silentMs < SILENCE_MAX_MS && !over.aborted; this.#silentMs += LOOK_MS) await pause(LOOK_MS)
    if (!over.aborted) still.abort(new Failure('job-stalled', 'capture gave no sign of life'))
    if (!over.aborted) await pause(GRACE_MS)
    if (!over.aborted) throw DEAF
    return await new Promise<never>(() => {})
  }

  #onEvent(event: CaptureEvent): void {
    this.#silentMs = 0
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
