/** What is counted of clients, in memory of a bounded size: forgetting somebody is harmless, growing without end is not. */

/** A map that drops what was set longest ago. */
export class BoundedMap<Value> {
  readonly #entriesMax: number
  readonly #values = new Map<string, Value>()

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax
  }

  get(key: string): Value | undefined {
    return this.#values.get(key)
  }

  set(key: string, value: Value): void {
    this.#values.delete(key)
    this.#values.set(key, value)
    if (this.#values.size <= this.#entriesMax) return
    const [oldest] = this.#values.keys()
    if (oldest !== undefined) this.#values.delete(oldest)
  }

  delete(key: string): void {
    this.#values.delete(key)
  }
}

const CLIENTS_MAX = 10_000

/** So many at once, and so many a second in the long run. */
export class RequestRate {
  readonly #perSecond: number
  readonly #burst: number
  readonly #clients = new BoundedMap<{ readonly tokens: number; readonly atMs: number }>(CLIENTS_MAX)

  constructor(perSecond: number, burst: number) {
    this.#perSecond = perSecond
    this.#burst = burst
  }

  /** @returns 0, or in how many seconds there is room again */
  take(client: string, nowMs: number): number {
    const { tokens, atMs } = this.#clients.get(client) ?? { tokens: this.#burst, atMs: nowMs }
    // A clock that was set back gives nothing and takes nothing.
    const gained = (Math.max(0, nowMs - atMs) / 1000) * this.#perSecond
    const there = Math.min(this.#burst, tokens + gained)
    this.#clients.set(client, { tokens: there >= 1 ? there - 1 : there, atMs: nowMs })
    return there >= 1 ? 0 : Math.ceil((1 - there) / this.#perSecond)
  }
}

interface Failures {
  readonly count: number
  readonly lastMs: number
}

/** Who was wrong too often is not heard for a while. */
export class LockOut {
  readonly #failuresMax: number
  readonly #lockedMs: number
  readonly #clients = new BoundedMap<Failures>(CLIENTS_MAX)

  constructor(failuresMax: number, lockedMs: number) {
    this.#failuresMax = failuresMax
    this.#lockedMs = lockedMs
  }

  /** @returns 0, or for how many seconds yet */
  lockedSeconds(client: string, nowMs: number): number {
    const failures = this.#clients.get(client)
    if (!failures || failures.count < this.#failuresMax) return 0
    return Math.max(0, Math.ceil((failures.lastMs + this.#lockedMs - nowMs) / 1000))
  }

  /** @returns true for the failure that locks */
  failed(client: string, nowMs: number): boolean {
    const before = this.#clients.get(client)
    const isOld = before === undefined || nowMs - before.lastMs >= this.#lockedMs
    const count = isOld ? 1 : before.count + 1
    this.#clients.set(client, { count, lastMs: nowMs })
    return count === this.#failuresMax
  }

  succeeded(client: string): void {
    this.#clients.delete(client)
  }
}
