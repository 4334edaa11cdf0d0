/**
 * How much is done at a time: requests that fold a log or compare rows take memory and a connection each, so that only
 * a few run, a few wait, and the rest are told to come again.
 */
import { Failure } from '../errors.ts'

export class Gate {
  readonly #atOnce: number
  readonly #waitingMax: number
  #running = 0
  readonly #waiting: (() => void)[] = []

  constructor(atOnce: number, waitingMax: number) {
    this.#atOnce = atOnce
    this.#waitingMax = waitingMax
  }

  /** @throws too-many-requests when too many wait already; the signal's reason when it fires first */
  async through<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    await this.#enter(signal)
    try {
      return await work()
    } finally {
      // The place goes from hand to hand: nobody who comes now gets in between.
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running -= 1
    }
  }

  async #enter(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#running < this.#atOnce) {
      this.#running += 1
      return
    }
    if (this.#waiting.length >= this.#waitingMax) {
      throw new Failure('too-many-requests', `${this.#waitingMax} requests of this kind wait already`, {
        hints: ['Ask again in some seconds.'],
      })
    }
    await this.#turn(signal)
  }

  async #turn(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const leave = () => {
      const at = this.#waiting.indexOf(resolve)
      if (at >= 0) this.#waiting.splice(at, 1)
      reject(signal.reason)
    }
    this.#waiting.push(resolve)
    signal.addEventListener('abort', leave, { once: true })
    try {
      await promise
    } finally {
      signal.removeEventListener('abort', leave)
    }
  }
}

/** Of many who ask the same at the same time one looks, and what was seen a moment ago is not looked up again. */
export class Shared<Value> {
  readonly #lifeMs: number
  readonly #nowMs: () => number
  readonly #answers = new Map<string, { readonly atMs: number; readonly value: Promise<Value> }>()

  constructor(lifeMs: number, nowMs: () => number) {
    this.#lifeMs = lifeMs
    this.#nowMs = nowMs
  }

  /** `key` is one of few: a source's name. A failure is shared by those who wait for it, and not kept. */
  async get(key: string, look: () => Promise<Value>): Promise<Value> {
    const known = this.#answers.get(key)
    const age = known ? this.#nowMs() - known.atMs : Number.POSITIVE_INFINITY
    if (known && age >= 0 && age < this.#lifeMs) return await known.value
    const value = look()
    const answer = { atMs: this.#nowMs(), value }
    this.#answers.set(key, answer)
    value.catch(() => {
      if (this.#answers.get(key) === answer) this.#answers.delete(key)
    })
    return await value
  }
}
