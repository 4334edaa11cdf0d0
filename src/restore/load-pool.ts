/** Threads that load tables into a database that is being rebuilt. */
import { MessageChannel } from 'node:worker_threads'
import { Piscina } from 'piscina'
import type { LoadMessage, LoadResult, LoadTableTask } from '../../workers/load-table.ts'
import { Failure, fromFailureRecord } from '../errors.ts'

export class LoadPool implements AsyncDisposable {
  readonly threads: number
  readonly #pool: Piscina<LoadTableTask, LoadResult>

  constructor(threads: number) {
    this.threads = threads
    this.#pool = new Piscina({
      filename: new URL('../../workers/load-table.ts', import.meta.url).href,
      minThreads: 1,
      maxThreads: threads,
      // Between two tables an index may be built: a thread waits for that, rather than be made anew.
      idleTimeout: 60_000,
      // As for building: rows are not in the JavaScript heap.
      resourceLimits: { maxYoungGenerationSizeMb: 6 },
      atomics: 'disabled',
    })
  }

  /** @returns rows as the database counted them. @throws the worker's failure, or the signal's reason */
  async loadTable(
    task: Omit<LoadTableTask, 'port'>,
    onLoaded: (bytes: number) => void,
    signal: AbortSignal,
  ): Promise<number> {
    signal.throwIfAborted()
    const { port1, port2 } = new MessageChannel()
    port1.on('message', (message: LoadMessage) => onLoaded(message.bytes))
    const stop = () => port1.postMessage('stop')
    signal.addEventListener('abort', stop, { once: true })
    try {
      const result = await this.#pool.run({ ...task, port: port2 }, { transferList: [port2] }).catch((error) => {
        throw new Failure('defect', 'a worker thread ended before its table was loaded', { cause: error })
      })
      if (signal.aborted) throw signal.reason
      if (!result.ok) throw fromFailureRecord(result.failure)
      return result.rows
    } finally {
      signal.removeEventListener('abort', stop)
      port1.close()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.destroy()
  }
}
