/**
 * Worker: one table out of the repository into a database that is being rebuilt.
 *
 * In:  LoadTableTask, with a port of its own.
 * Out: on the port, `{ kind: 'loaded', bytes }` for progress; as result `{ ok: true, rows }`, rows as the database
 *      counted them, or `{ ok: false, failure }`.
 *
 * Every leaf is checked against its digest before a row of it is sent (I3). Owns a read handle of the store and one
 * connection to the target.
 */
import type { MessagePort } from 'node:worker_threads'
import { Failure, type FailureRecord, toFailureRecord } from '../src/errors.ts'
import type { RepositorySecrets } from '../src/repository/keyring.ts'
import { ChunkReader } from '../src/repository/pack/chunk-reader.ts'
import type { StoreCapabilities, StoreSettings } from '../src/repository/store/contract.ts'
import { openStore } from '../src/repository/store/open.ts'
import type { TreeSpec } from '../src/repository/tree/spec.ts'
import { TreeReader } from '../src/repository/tree/tree-reader.ts'
import type { TreeRoot } from '../src/repository/tree/tree-root.ts'
import type { ConnectionSettings } from '../src/source/contract.ts'
import { loadTable } from '../src/source/open.ts'

export interface LoadTableTask {
  readonly store: StoreSettings
  /** As the control side found them: not every thread should probe. */
  readonly capabilities: StoreCapabilities
  readonly secrets: RepositorySecrets
  readonly spec: TreeSpec
  readonly root: TreeRoot
  readonly connection: ConnectionSettings
  readonly table: { readonly sqlName: string; readonly columns: readonly string[]; readonly encoding: string }
  readonly port: MessagePort
}

export interface LoadMessage {
  readonly kind: 'loaded'
  readonly bytes: number
}

export type LoadResult =
  | { readonly ok: true; readonly rows: number }
  | { readonly ok: false; readonly failure: FailureRecord }

const REPORT_BYTES = 1024 * 1024

export default async function run(task: LoadTableTask): Promise<LoadResult> {
  const stop = new AbortController()
  task.port.on('message', () => stop.abort(new Failure('cancelled', 'the loading of a table was stopped')))
  try {
    const store = await openStore(task.store, task.capabilities)
    try {
      const chunks = new ChunkReader(store, task.secrets.dataKeys)
      const reader = new TreeReader(task.spec, chunks, task.secrets)
      const rows = await loadTable(task.connection, task.table, lines(reader, task), stop.signal)
      return { ok: true, rows }
    } finally {
      await store.close()
    }
  } catch (error) {
    return { ok: false, failure: toFailureRecord(error) }
  } finally {
    task.port.close()
  }
}

async function* lines(reader: TreeReader, task: LoadTableTask): AsyncGenerator<Uint8Array> {
  let unreported = 0
  const report = () => {
    const message: LoadMessage = { kind: 'loaded', bytes: unreported }
    task.port.postMessage(message)
    unreported = 0
  }
  for await (const text of reader.texts(task.root)) {
    yield text
    unreported += text.length
    if (unreported >= REPORT_BYTES) report()
  }
  report()
}
