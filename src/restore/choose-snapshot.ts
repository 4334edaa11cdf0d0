/**
 * From what the operator asks for to a snapshot: `latest`, a snapshot's id, or a time. While only snapshots are kept,
 * a time means the newest snapshot at or before it; the answer says how far away that is.
 */
import { Failure } from '../errors.ts'
import type { Manifest } from '../repository/manifest.ts'
import type { Repository } from '../repository/repository.ts'

export interface ChosenSnapshot {
  readonly manifest: Manifest
  /** How long before the time asked for the snapshot stands; null when no time was asked for. */
  readonly secondsBefore: number | null
}

/**
 * @throws snapshot-not-found, bad-usage; what is wrong with a newer snapshot that may have been the one meant, with the
 * name of the next whole one
 */
export async function chooseSnapshot(repository: Repository, at: string, sourceName: string): Promise<ChosenSnapshot> {
  const ids = await repository.snapshotIds()
  if (ids.includes(at)) return { manifest: (await repository.readManifest(at)).manifest, secondsBefore: null }
  const wantedMs = at === 'latest' ? null : parseTime(at)
  let considered = 0
  let passedOver: Failure | null = null
  for (const id of ids.toReversed()) {
    const read = await repository.tryManifest(id)
    if (read instanceof Failure) {
      passedOver ??= read
      continue
    }
    const { manifest } = read
    if (manifest.sourceName !== sourceName) continue
    considered += 1
    const takenMs = Date.parse(manifest.position.sourceTime)
    if (wantedMs !== null && takenMs > wantedMs) continue
    if (passedOver) throw unreadable(passedOver, manifest)
    return { manifest, secondsBefore: wantedMs === null ? null : (wantedMs - takenMs) / 1000 }
  }
  if (passedOver) throw passedOver
  const why =
    considered === 0 ? `there is no snapshot of ${sourceName}` : `no snapshot of ${sourceName} is as old as ${at}`
  throw new Failure('snapshot-not-found', why, {
    hints: ['Run `chartkeep snapshots` to see which there are.'],
    context: { source: sourceName, snapshots: considered },
  })
}

/** An older snapshot than the one that was meant is the operator's to choose, not ours. */
function unreadable(newer: Failure, whole: Manifest): Failure {
  const { snapshotId, position } = whole
  return new Failure(newer.code, newer.message, {
    context: newer.context,
    cause: newer,
    hints: [
      `The newest whole snapshot before it is of ${position.sourceTime}: name it by --at ${snapshotId}.`,
      ...newer.hints,
    ],
  })
}

/** With an offset, always: at three in the morning nobody should have to know which zone a server is in. */
const TIME = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})$/

function parseTime(text: string): number {
  const timeMs = TIME.test(text) ? Date.parse(text.replace(' ', 'T')) : Number.NaN
  if (Number.isNaN(timeMs)) {
    throw new Failure('bad-usage', `'${text}' is neither 'latest', nor a snapshot of this repository, nor a time`, {
      hints: ['A time has its offset: 2026-03-01T10:15:00+08:00. `chartkeep snapshots` lists the snapshots.'],
    })
  }
  return timeMs
}
