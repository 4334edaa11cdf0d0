/** Between which two snapshots a certificate speaks. */
import type { ReadManifest, Repository } from '../../repository/repository.ts'
import { KeptSnapshots } from '../../repository/state/kept-snapshots.ts'

export interface Ends {
  readonly baseline: ReadManifest
  readonly end: ReadManifest
}

/**
 * @param wanted.baseline the oldest snapshot of the source where none is named
 * @param wanted.end a snapshot, or `latest`
 * @throws snapshot-not-found, repository-damaged; store-…
 */
export async function chooseEnds(
  repository: Repository,
  sourceName: string,
  wanted: { readonly baseline?: string; readonly end: string },
): Promise<Ends> {
  const snapshots = await KeptSnapshots.list(repository, sourceName)
  const end = wanted.end === 'latest' ? (await snapshots.newest()).snapshotId : wanted.end
  let baseline = wanted.baseline
  if (baseline === undefined) {
    for await (const { manifest } of snapshots.newestFirst()) baseline = manifest.snapshotId
  }
  return { baseline: await repository.readManifest(baseline ?? end), end: await repository.readManifest(end) }
}
