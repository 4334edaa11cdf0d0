/** Which snapshot a new one can share leaves with, and therefore which way it is made. */
import { Failure } from '../errors.ts'
import { manifestKey } from '../repository/layout.ts'
import type { Manifest } from '../repository/manifest.ts'
import type { ReadManifest, Repository } from '../repository/repository.ts'
import type { SourceIdentity } from '../source/contract.ts'
import { isSameDatabase } from '../source/identity.ts'

export type SnapshotMode = Manifest['mode']

export interface PreviousSnapshot {
  /** The newest snapshot of this source's history, to share leaves with. */
  readonly previous: ReadManifest | null
  /** The newest snapshot of all that can be read, to chain to. */
  readonly latest: ReadManifest | null
  readonly mode: SnapshotMode
  readonly modeReason: string
}

/**
 * Ids of all snapshots, oldest first. The ledger's last snapshot must be among them, unless it was forgotten: a store
 * that does not list what it has must not be believed (F17).
 * @throws store-lied
 */
export async function listSnapshots(repository: Repository): Promise<string[]> {
  const last = await repository.ledger.lastSnapshot()
  const ids = await repository.snapshotIds()
  if (last === null || ids.includes(last) || !(await repository.store.stat(manifestKey(last)))) return ids
  throw new Failure('store-lied', `the store lists ${ids.length} snapshots, and not ${last}, which it has`, {
    context: { snapshot: last },
    hints: ['Nothing was changed. Run `chartkeep backup` again in a minute: some stores list late.'],
  })
}

export interface PreviousQuestion {
  /** From `listSnapshots`. */
  readonly snapshotIds: readonly string[]
  readonly sourceName: string
  readonly identity: SourceIdentity
}

export async function choosePrevious(
  repository: Repository,
  { snapshotIds: ids, sourceName, identity }: PreviousQuestion,
): Promise<PreviousSnapshot> {
  let latest: ReadManifest | null = null
  let sameName = false
  for (const id of ids.toReversed()) {
    // One that is damaged or planted is for check to say: it must not keep the hospital without a backup.
    const read = await repository.tryManifest(id)
    if (read instanceof Failure) continue
    latest ??= read
    if (read.manifest.sourceName !== sourceName) continue
    if (isSameDatabase(read.manifest.source, identity)) {
      return { previous: read, latest, mode: 'full-read', modeReason: 'every row was read' }
    }
    sameName = true
  }
  const modeReason = sameName
    ? 'the source is another database than in every earlier snapshot of this name'
    : 'the first snapshot of this source'
  return { previous: null, latest, mode: 'base', modeReason }
}
