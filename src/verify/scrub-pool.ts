/** Threads that scrub packs, one pack at a time each. */
import { Piscina } from 'piscina'
import type { ScrubPackResult, ScrubPackTask } from '../../workers/scrub-pack.ts'
import { Failure, fromFailureRecord } from '../errors.ts'
import type { Repository } from '../repository/repository.ts'
import type { PackReport, ScrubTask } from './scrub-pack.ts'

const THREADS_DEFAULT = 2

export class ScrubPool implements AsyncDisposable {
  readonly threads: number
  readonly #pool: Piscina<ScrubPackTask, ScrubPackResult>

  constructor(threads: number = THREADS_DEFAULT) {
    this.threads = threads
    this.#pool = new Piscina({
      filename: new URL('../../workers/scrub-pack.ts', import.meta.url).href,
      // All at once: they load while the repository is being opened.
      minThreads: threads,
      maxThreads: threads,
      idleTimeout: 10_000,
      // Between tasks a thread must go on closing its connections, not block.
      atomics: 'disabled',
    })
  }

  /** @throws object-missing, store-…; the signal's reason */
  async scrubPack(repository: Repository, task: ScrubTask, signal: AbortSignal): Promise<PackReport> {
    signal.throwIfAborted()
    const {
      storeSettings: store,
      store: { capabilities },
    } = repository
    const result = await this.#pool.run({ ...task, store, capabilities }, { signal }).catch((error) => {
      signal.throwIfAborted()
      throw new Failure('defect', 'a worker thread ended before its pack was read', { cause: error })
    })
    if (result.ok) return result.report
    throw fromFailureRecord(result.failure)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.destroy()
  }
}
