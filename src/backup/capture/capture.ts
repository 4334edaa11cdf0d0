/**
 * Capture: follows the source's changes into the change log, until it is stopped. One runs for each source, by a lease.
 *
 *     session ─ fails ─→ pause, twice as long each time ─→ session …
 *             ─ its history is not ours, its slot is gone ─→ session with a new log, which declares the gap
 *             ─ tables changed ─→ session
 *             ─ stopped ─→ what has arrived is kept, the lease given back
 *
 * Nothing is ever skipped to get on: whatever was not durable is not confirmed, and comes again.
 */
import { Failure, type FailureCode, fromFailureRecord, toFailureRecord } from '../../errors.ts'
import { acquireLease, CAPTURE_LEASE, type Lease, leaseHolder, leaseName } from '../../repository/lease.ts'
import { formatLsn } from '../../repository/lsn.ts'
import { runSession, type SessionRequest } from './run-session.ts'
import { slotName } from './slot-name.ts'
import { watchSlot } from './slot-watch.ts'

export interface CaptureRequest extends Omit<SessionRequest, 'slot'> {
  /** For people who find the lease held: account and machine. */
  readonly holder: string
  /** Ends it well. */
  readonly signal: AbortSignal
}

/** The log cannot go on, and another can. */
const BREAKS: readonly FailureCode[] = ['history-differs', 'slot-missing', 'slot-lost']
/** Once it has run, these are waited out too: somebody will make room, or mend a password. */
const WAITED_OUT: readonly FailureCode[] = [
  'source-failed',
  'source-login-refused',
  'source-not-found',
  'store-full',
  'store-refused',
  'local-disk-full',
]
const BREAKS_IN_A_ROW_MAX = 3

/** @throws lease-held, cannot-capture, and whatever does not pass by itself */
export async function capture(request: CaptureRequest): Promise<void> {
  await new CaptureRun(request).run()
}

class CaptureRun {
  readonly #request: SessionRequest & CaptureRequest
  #lease: Lease | null = null
  #session = new AbortController()
  #breakReason: string | null = null
  #breaksInARow = 0
  #pauseMs: number
  #hasConnected = false
  #end: string | null = null
  /** Bytes that the database kept for the slot when it was found to be too much. */
  #tooMuch: number | null = null

  constructor(request: CaptureRequest) {
    const { onEvent } = request
    this.#request = {
      ...request,
      slot: slotName(request.repository.id, request.sourceName),
      onEvent: (event) => {
        if (event.kind === 'sealed') this.#progressed(event.end)
        onEvent(event)
      },
    }
    this.#pauseMs = request.settings.pauseMinMs
  }

  async run(): Promise<void> {
    const { signal } = this.#request
    const over = new AbortController()
    const sideWorks = [this.#keepLease(over.signal), this.#watchSlot(over.signal)]
    try {
      while (!signal.aborted) await this.#attempt()
      if (this.#end !== null) this.#request.onEvent({ kind: 'stopped', end: this.#end })
    } finally {
      over.abort(new Failure('cancelled', 'capture ends'))
      await Promise.allSettled(sideWorks)
      await this.#lease?.release()
    }
  }

  async #attempt(): Promise<void> {
    const { signal } = this.#request
    this.#session = new AbortController()
    const abandon = this.#session.signal
    try {
      if (this.#tooMuch !== null) await this.#dropSlot(this.#tooMuch)
      await runSession(this.#request, {
        fence: await this.#ownLease(),
        breakReason: this.#breakReason,
        stop: signal,
        abandon,
        onConnected: (end) => this.#connected(end),
      })
    } catch (error) {
      if (!signal.aborted) await this.#judge(toFailure(error), abandon)
    }
  }

  /** @throws lease-held, store-… */
  async #ownLease(): Promise<Lease> {
    const { repository, sourceName, holder, settings, nowMs, sleep, signal, onEvent } = this.#request
    const name = leaseName(repository.id, CAPTURE_LEASE, sourceName)
    const { leaseMs } = settings
    const other = this.#lease ? null : await leaseHolder(repository, name, nowMs())
    if (other) onEvent({ kind: 'lease-watched', holder: other.holder, renewedAt: other.madeAt })
    this.#lease ??= await acquireLease(repository, { name, holder, leaseMs, nowMs, sleep, signal })
    return this.#lease
  }

  #connected(end: bigint): void {
    this.#hasConnected = true
    this.#breakReason = null
    this.#end = formatLsn(end)
  }

  #progressed(end: string): void {
    this.#end = end
    this.#breaksInARow = 0
    this.#pauseMs = this.#request.settings.pauseMinMs
  }

  /** What to do about a session that failed. @throws what does not pass by itself */
  async #judge(failure: Failure, abandon: AbortSignal): Promise<void> {
    const { code } = failure
    if (this.#tooMuch !== null && abandon.aborted) return
    if (BREAKS.includes(code)) {
      this.#breaksInARow += 1
      if (this.#breaksInARow > BREAKS_IN_A_ROW_MAX) throw failure
      this.#breakReason = failure.message
      return
    }
    // Lost because the store was away for longer than it lives: taken again when nobody else has it.
    if (code === 'lease-lost') this.#lease = null
    const passes = failure.isTransient || (this.#hasConnected && WAITED_OUT.includes(code))
    if (!passes || code === 'lease-held') throw failure
    await this.#pause(failure, abandon)
  }

  async #pause({ code, message }: Failure, abandon: AbortSignal): Promise<void> {
    const { settings, signal, sleep, onEvent } = this.#request
    const pauseMs = this.#pauseMs
    this.#pauseMs = Math.min(settings.pauseMaxMs, pauseMs * 2)
    onEvent({ kind: 'pausing', code, message, pauseMs })
    await sleep(pauseMs, AbortSignal.any([signal, abandon])).catch(() => {})
  }

  async #keepLease(over: AbortSignal): Promise<void> {
    const { settings, sleep } = this.#request
    while (!over.aborted) {
      await sleep(settings.leaseMs / 4, over)
      try {
        await this.#lease?.renew()
      } catch (error) {
        // A store that does not answer costs the lease only when its life is over, which is asked before each put.
        if (toFailure(error).code === 'lease-lost') this.#session.abort(error)
      }
    }
  }

  async #watchSlot(over: AbortSignal): Promise<void> {
    const { openSource, slot, settings, sleep, onEvent } = this.#request
    const onTooMuch = (retainedBytes: number) => {
      this.#tooMuch = retainedBytes
      this.#session.abort(new Failure('slot-lost', `the database keeps ${retainedBytes} bytes for slot ${slot}`))
    }
    const { slotBytesMax, slotWatchMs: everyMs } = settings
    await watchSlot({ openSource, slot, slotBytesMax, everyMs, sleep, onEvent, onTooMuch }, over)
  }

  async #dropSlot(retainedBytes: number): Promise<void> {
    const { openSource, slot, settings, onEvent } = this.#request
    const limitBytes = settings.slotBytesMax ?? 0
    await using source = await openSource()
    await source.changes?.dropSlot(slot)
    this.#tooMuch = null
    this.#breakReason = `slot ${slot} was given up by us: the database kept ${retainedBytes} bytes for it, slotBytesMax is ${limitBytes}`
    onEvent({ kind: 'slot-dropped', retainedBytes, limitBytes })
  }
}

function toFailure(error: unknown): Failure {
  return error instanceof Failure ? error : fromFailureRecord(toFailureRecord(error))
}
