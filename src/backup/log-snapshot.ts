/**
 * Puts a snapshot into the ledger, the last step of its making. A run that died between its manifest and this left a
 * snapshot that the ledger does not have: the next run enters it first. So does a run that came to its end while
 * another was under way; whether a snapshot is in the ledger is asked of the ledger, and not guessed from its last
 * entry.
 */
import { Failure } from '../errors.ts'
import type { Repository } from '../repository/repository.ts'

export interface LogRequest {
  /** Those that were there when the run began, oldest first. */
  readonly snapshotIds: readonly string[]
  readonly written: { readonly snapshotId: string; readonly sha256: string }
  readonly nowMs: () => number
}

/** An unlogged snapshot is of a run shortly before: how many could have died like that since the last good one? */
const LOOKED_AT = 8

export async function logSnapshot(repository: Repository, { snapshotIds, written, nowMs }: LogRequest): Promise<void> {
  const time = `${new Date(nowMs()).toISOString().slice(0, 19)}Z`
  for (const snapshot of await repository.ledger.missing(snapshotIds.slice(-LOOKED_AT))) {
    const read = await repository.tryManifest(snapshot)
    if (read instanceof Failure) continue
    await repository.ledger.append({ snapshot, manifest: read.sha256, time })
  }
  await repository.ledger.append({ snapshot: written.snapshotId, manifest: written.sha256, time })
}
