/**
 * What the API leaves in the repository and nobody needs any more: answers of the day before yesterday, and plans that
 * ran out a month ago and hold rows of patients. Done beside a request now and then, so that it wants no timer.
 */
import { forgetAnswers } from '../repository/access/answered-requests.ts'
import { forgetPlans } from '../restore/patient/plan-store.ts'
import type { ApiDependencies } from './dependencies.ts'

const EVERY_MS = 6 * 3_600_000
const PLANS_KEPT_MS = 30 * 86_400_000

export class Housekeeping {
  readonly #dependencies: ApiDependencies
  #nextMs: number

  constructor(dependencies: ApiDependencies) {
    this.#dependencies = dependencies
    this.#nextMs = dependencies.nowMs()
  }

  /** Returns at once. What could not be removed is left for the next time: a store may lock what it has for years. */
  now(): void {
    const { repository, nowMs } = this.#dependencies
    const startMs = nowMs()
    if (startMs < this.#nextMs) return
    this.#nextMs = startMs + EVERY_MS
    void Promise.allSettled([forgetAnswers(repository, startMs), forgetPlans(repository, startMs - PLANS_KEPT_MS)])
  }
}
