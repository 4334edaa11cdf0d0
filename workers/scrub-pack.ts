/**
 * Worker: reads one pack and proves every byte of it.
 *
 * In:   ScrubPackTask.
 * Out:  `{ ok: true, report }` or `{ ok: false, failure }`; the report's arrays are transferred.
 *
 * Owns a read handle of the store while it works; knows nothing of snapshots.
 */
import { type FailureRecord, toFailureRecord } from '../src/errors.ts'
import type { StoreCapabilities, StoreSettings } from '../src/repository/store/contract.ts'
import { openStore } from '../src/repository/store/open.ts'
import { type PackReport, type ScrubTask, scrubPack } from '../src/verify/scrub-pack.ts'

export interface ScrubPackTask extends ScrubTask {
  readonly store: StoreSettings
  readonly capabilities: StoreCapabilities
}

export type ScrubPackResult =
  | { readonly ok: true; readonly report: PackReport }
  | { readonly ok: false; readonly failure: FailureRecord }

export default async function run(task: ScrubPackTask): Promise<ScrubPackResult> {
  try {
    const store = await openStore(task.store, task.capabilities)
    try {
      return { ok: true, report: await scrubPack(store, task) }
    } finally {
      await store.close()
    }
  } catch (error) {
    return { ok: false, failure: toFailureRecord(error) }
  }
}
