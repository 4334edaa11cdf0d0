/**
 * Threads that read tables and build trees. The control side receives leaves in key order, tree after tree, and says
 * when it has dealt with them; a failure on either side stops the other.
 */
import { MessageChannel } from 'node:worker_threads'
import { Piscina } from 'piscina'
import type { BuildMessage, BuildResult, BuildTableTask, ControlMessage } from '../../workers/build-table.ts'
import { Failure, fromFailureRecord } from '../errors.ts'
import type { TreeKind } from '../repository/build/build-table.ts'
import { unpackLeaves } from '../repository/build/leaf-batch.ts'
import type { BuiltLeaf } from '../repository/tree/tree-writer.ts'

/** Two tables at once keep two cores busy beside the server; more threads only take from the wards. */
export const THREADS_DEFAULT = 2

export interface TableConsumer {
  readonly onLeaf: (tree: TreeKind, leaf: BuiltLeaf) => Promise<void>
  readonly onRead: (bytes: number) => void
  /** The previous snapshot's trees of this table are damaged; what they lost is among the new leaves. */
  readonly onPreviousDamaged: () => void
}

export class BuildPool implements AsyncDisposable {
  readonly threads: number
  readonly #pool: Piscina<BuildTableTask, BuildResult>

  constructor(threads: number = THREADS_DEFAULT) {
    this.threads = threads
    this.#pool = new Piscina({
      filename: new URL('../../workers/build-table.ts', import.meta.url).href,
      minThreads: 1,
      maxThreads: threads,
      idleTimeout: 10_000,
      // Rows are not in the JavaScript heap: a small nursery sees to it that used-up buffers are freed soon.
      resourceLimits: { maxYoungGenerationSizeMb: 6 },
      // Between tasks a thread must go on closing its connections, not block.
      atomics: 'disabled',
    })
  }

  /**
   * Resolves with the bytes read when every leaf was dealt with.
   * @throws the worker's failure, or what `consumer` threw, or the signal's reason
   */
  async buildTable(task: Omit<BuildTableTask, 'port'>, consumer: TableConsumer, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted()
    const { port1, port2 } = new MessageChannel()
    const tell = (message: ControlMessage) => port1.postMessage(message)
    let consumed: Promise<void> = Promise.resolve()
    let failure: { readonly error: unknown } | null = null
    const stop = (error: unknown) => {
      failure ??= { error }
      tell({ kind: 'stop' })
    }

    const ended = Promise.withResolvers<void>()
    port1.on('message', (message: BuildMessage) => {
      if (message.kind === 'read') return consumer.onRead(message.bytes)
      if (message.kind === 'previous-damaged') return consumer.onPreviousDamaged()
      if (message.kind === 'end') return ended.resolve()
      consumed = consumed
        .then(async () => {
          if (failure) return
          for (const leaf of unpackLeaves(message.batch)) await consumer.onLeaf(message.tree, leaf)
          tell({ kind: 'taken', bytes: message.bytes })
        })
        .catch(stop)
    })
    const onAbort = () => stop(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      const result = await this.#pool.run({ ...task, port: port2 }, { transferList: [port2] }).catch(lostWorker)
      await ended.promise
      await consumed
      if (failure !== null) throw (failure as { error: unknown }).error
      if (!result.ok) throw fromFailureRecord(result.failure)
      return result.bytesRead
    } finally {
      signal.removeEventListener('abort', onAbort)
      port1.close()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.destroy()
  }
}

function lostWorker(error: unknown): never {
  throw new Failure('defect', 'a worker thread ended before its table was built', { cause: error })
}
