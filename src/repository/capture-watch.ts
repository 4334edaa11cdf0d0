/**
 * A capture, seen from beside it: by its slot, which is idle between two of its connections, for a moment or for as long
 * as the network is away; and by its lease, which a capture that is alive renews several times a minute, also while it
 * waits for its database.
 */
import { CAPTURE_LEASE, leaseHolder, leaseName } from './lease.ts'
import type { Repository } from './repository.ts'

export interface CaptureQuestion {
  readonly repository: Repository
  readonly sourceName: string
  /** Of the slot that the change log names; null: it is gone. */
  readonly slotState: () => Promise<{ readonly active: boolean } | null>
  readonly nowMs: () => number
  readonly sleep: (ms: number) => Promise<void>
  readonly signal: AbortSignal
}

const LOOK_EVERY_MS = 50
const RECONNECT_MS = 2_000
/** For a capture that is alive and does not get through: its own pauses grow to as much. */
const PATIENCE_MS = 60_000
/** Somewhat longer than a capture that is alive leaves its lease as it is. */
const UNRENEWED_MS = 15_000
const LEASE_LOOK_EVERY_MS = 250

/** Whether a capture follows the slot, now or as soon as it has connected again. @throws the signal's reason; store-… */
export async function isFollowed(question: CaptureQuestion): Promise<boolean> {
  return await followsWithin(question, PATIENCE_MS)
}

/**
 * Whether somebody keeps up the lease of the capture while nobody follows the slot here: then what is written is the log
 * of another server, of which this one is a copy (P5).
 *
 * @throws the signal's reason; store-…
 */
export async function isWrittenElsewhere(question: CaptureQuestion): Promise<boolean> {
  const lease = new LeaseLooks(question)
  while (await lease.mayBeKept()) {
    if (lease.wasRenewed) return !(await followsWithin(question, RECONNECT_MS))
    await question.sleep(LEASE_LOOK_EVERY_MS)
  }
  return false
}

async function followsWithin(question: CaptureQuestion, patienceMs: number): Promise<boolean> {
  const { slotState, nowMs, sleep, signal } = question
  const startedMs = nowMs()
  const lease = new LeaseLooks(question)
  for (;;) {
    signal.throwIfAborted()
    const state = await slotState()
    if (state?.active) return true
    const idleMs = nowMs() - startedMs
    if (state === null || idleMs > patienceMs) return false
    if (idleMs > RECONNECT_MS && !(await lease.mayBeKept())) return false
    await sleep(LOOK_EVERY_MS)
  }
}

class LeaseLooks {
  wasRenewed = false
  readonly #question: CaptureQuestion
  readonly #name: string
  #madeAt: string | null = null
  #renewedMs: number
  #lookedMs = Number.NEGATIVE_INFINITY

  constructor(question: CaptureQuestion) {
    this.#question = question
    this.#name = leaseName(question.repository.id, CAPTURE_LEASE, question.sourceName)
    this.#renewedMs = question.nowMs()
  }

  /** False once it was given back, or nobody has renewed it for too long. */
  async mayBeKept(): Promise<boolean> {
    const { repository, nowMs, signal } = this.#question
    signal.throwIfAborted()
    if (nowMs() - this.#lookedMs >= LEASE_LOOK_EVERY_MS) {
      this.#lookedMs = nowMs()
      const claim = await leaseHolder(repository, this.#name, this.#lookedMs)
      if (claim === null) return false
      if (this.#madeAt !== null && this.#madeAt !== claim.madeAt) {
        this.wasRenewed = true
        this.#renewedMs = this.#lookedMs
      }
      this.#madeAt = claim.madeAt
    }
    return nowMs() - this.#renewedMs <= UNRENEWED_MS
  }
}
