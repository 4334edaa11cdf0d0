/**
 * Time that passes only when everything waits: whoever sleeps is woken in order, and between two of them no time passes. It
 * works for code that waits by `sleep` alone, over a store in memory: then whatever runs, runs to its next sleep before the
 * event loop comes round.
 */

interface Sleeper {
  readonly atMs: number
  readonly wake: () => void
  isOver: boolean
}

export class VirtualClock {
  #nowMs: number
  readonly #sleepers: Sleeper[] = []

  constructor(startMs: number) {
    this.#nowMs = startMs
  }

  readonly nowMs = (): number => this.#nowMs

  readonly sleep = async (ms: number, signal?: AbortSignal): Promise<void> => {
    signal?.throwIfAborted()
    await new Promise<void>((resolve, reject) => {
      const onAbort = () => {
        sleeper.isOver = true
        reject(signal?.reason)
      }
      const sleeper: Sleeper = {
        atMs: this.#nowMs + Math.max(0, ms),
        isOver: false,
        wake: () => {
          signal?.removeEventListener('abort', onAbort)
          resolve()
        },
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#push(sleeper)
    })
  }

  async runUntil(endMs: number): Promise<void> {
    await settled()
    for (let next = this.#pop(endMs); next; next = this.#pop(endMs)) {
      if (next.isOver) continue
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.isOver = true
      next.wake()
      await settled()
    }
    this.#nowMs = Math.max(this.#nowMs, endMs)
  }

  /** A heap by time; of one time, in the order in which they began. */
  #push(sleeper: Sleeper): void {
    const heap = this.#sleepers
    heap.push(sleeper)
    for (let at = heap.length - 1; at > 0; ) {
      const parent = (at - 1) >> 1
      if (heap[parent]!.atMs <= heap[at]!.atMs) return
      ;[heap[parent], heap[at]] = [heap[at]!, heap[parent]!]
      at = parent
    }
  }

  #pop(endMs: number): Sleeper | null {
    const heap = this.#sleepers
    const [first] = heap
    if (!first || first.atMs > endMs) return null
    const last = heap.pop()!
    if (heap.length > 0) heap[0] = last
    for (let at = 0; ; ) {
      const children = [2 * at + 1, 2 * at + 2].filter((child) => child < heap.length)
      const least = children.reduce((a, b) => (heap[b]!.atMs < heap[a]!.atMs ? b : a), at)
      if (least === at) return first
      ;[heap[least], heap[at]] = [heap[at]!, heap[least]!]
      at = least
    }
  }
}

async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}
