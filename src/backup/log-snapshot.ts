/**
 * Puts a snapshot into the ledger, the last step of its making. A run that died between its manifest and this left a
 * snapshot that the ledger does not have: the next run enters it first.
 */
import type { Manifest } from '../repository/manifest.ts'
import type { Repository } from '../repository/repository.ts'

export interface WrittenManifest {
  readonly manifest: Manifest
  readonly sha256: string
}

export async function logSnapshot(
  repository: Repository,
  previous: WrittenManifest | null,
  written: WrittenManifest,
  nowMs: () => number,
): Promise<void> {
  const time = `${new Date(nowMs()).toISOString().slice(0, 19)}Z`
  const lastLogged = await repository.ledger.lastSnapshot()
  const missed = previous !== null && previous.manifest.snapshotId !== lastLogged
  for (const { manifest, sha256 } of missed ? [previous, written] : [written]) {
    await repository.ledger.append({ snapshot: manifest.snapshotId, manifest: sha256, time })
  }
}
