/** The events of jobs that run in this process, for whoever follows them: each sees the last ones, then all that come. */
import type { Job, JobEvent } from '../contract.ts'

/** A follower that does not read loses the oldest, never the last: progress may be left out. */
const WAITING_MAX = 100
/** Of jobs that ended: a follower may come late. */
const ENDED_KEPT = 50

interface Followed {
  job: JobEvent & { readonly type: 'job' }
  progress: JobEvent | null
  readonly queues: Set<Queue>
}

class Queue {
  readonly waiting: JobEvent[] = []
  #wake = Promise.withResolvers<void>()

  push(event: JobEvent): void {
    this.waiting.push(event)
    if (this.waiting.length > WAITING_MAX) this.waiting.splice(0, 1)
    this.#wake.resolve()
  }

  async ready(signal: AbortSignal): Promise<void> {
    if (this.waiting.length > 0) return
    const stopped = Promise.withResolvers<void>()
    const onAbort = () => stopped.resolve()
    signal.addEventListener('abort', onAbort, { once: true })
    await Promise.race([this.#wake.promise, stopped.promise])
    signal.removeEventListener('abort', onAbort)
    this.#wake = Promise.withResolvers<void>()
  }
}

export class JobEvents {
  readonly #followed = new Map<string, Followed>()

  begin(job: Job, at: string): void {
    for (const [id, { job: last }] of this.#followed) {
      if (this.#followed.size < ENDED_KEPT) break
      if (last.job.state !== 'running') this.#followed.delete(id)
    }
    this.#followed.set(job.id, { job: { type: 'job', at, job }, progress: null, queues: new Set() })
  }

  emit(id: string, event: JobEvent): void {
    const followed = this.#followed.get(id)
    if (!followed) return
    if (event.type === 'job') followed.job = event
    if (event.type === 'progress') followed.progress = event
    for (const queue of followed.queues) queue.push(event)
  }

  has(id: string): boolean {
    return this.#followed.has(id)
  }

  async *follow(id: string, signal: AbortSignal): AsyncGenerator<JobEvent> {
    const followed = this.#followed.get(id)
    if (!followed) return
    const queue = new Queue()
    followed.queues.add(queue)
    queue.push(followed.job)
    if (followed.progress && followed.job.job.state === 'running') queue.push(followed.progress)
    try {
      while (!signal.aborted) {
        const event = queue.waiting.shift()
        if (event === undefined) {
          await queue.ready(signal)
          continue
        }
        yield event
        if (event.type === 'job' && event.job.state !== 'running') return
      }
    } finally {
      followed.queues.delete(queue)
    }
  }
}
