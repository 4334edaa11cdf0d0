/**
 * The snapshots of one source, newest first. One that is damaged or planted must not stand in the way of the others,
 * and must not be passed over in silence either: it may have been the one meant.
 */
import { Failure } from '../../errors.ts'
import type { Manifest } from '../manifest.ts'
import type { Repository } from '../repository.ts'
import { formatTimeUs, timeUsOf } from './moment.ts'

export interface KeptSnapshot {
  readonly manifest: Manifest
  /** What was wrong with the newest of those behind it that could not be relied on, or null. */
  readonly passedOver: Failure | null
}

export class KeptSnapshots {
  readonly sourceName: string
  readonly #repository: Repository
  /** Newest first. */
  readonly #ids: readonly string[]
  readonly #read = new Map<string, Promise<Manifest | Failure>>()

  private constructor(repository: Repository, sourceName: string, ids: readonly string[]) {
    this.#repository = repository
    this.sourceName = sourceName
    this.#ids = ids
  }

  static async list(repository: Repository, sourceName: string): Promise<KeptSnapshots> {
    return new KeptSnapshots(repository, sourceName, (await repository.snapshotIds()).toReversed())
  }

  /** Newest first. `endsWithFailure`: throws at the end what was wrong with those that were passed over, if any was. */
  async *newestFirst(endsWithFailure = true): AsyncGenerator<KeptSnapshot> {
    let passedOver: Failure | null = null
    for (const id of this.#ids) {
      const read = await this.#manifest(id)
      if (read instanceof Failure) passedOver ??= read
      else if (read.sourceName === this.sourceName) yield { manifest: read, passedOver }
    }
    if (passedOver && endsWithFailure) throw passedOver
  }

  /** @throws snapshot-not-found, repository-damaged, repository-format, signature-refused */
  async named(snapshotId: string): Promise<Manifest> {
    return (await this.#repository.readManifest(snapshotId)).manifest
  }

  /**
   * The newest, or the newest that was taken at `timeUs` or before.
   * @throws snapshot-not-found; what is wrong with a newer snapshot that may have been the one meant, with the name of
   * the next whole one
   */
  async newest(timeUs: bigint | null = null): Promise<Manifest> {
    let considered = 0
    for await (const { manifest, passedOver } of this.newestFirst()) {
      considered += 1
      if (timeUs !== null && timeUsOf(manifest.position.sourceTime) > timeUs) continue
      if (passedOver) throw unreadable(passedOver, manifest)
      return manifest
    }
    const why =
      timeUs === null || considered === 0
        ? `there is no snapshot of ${this.sourceName}`
        : `no snapshot of ${this.sourceName} is as old as ${formatTimeUs(timeUs)}`
    throw new Failure('snapshot-not-found', why, {
      hints: ['Run `chartkeep snapshots` to see which there are.'],
      context: { source: this.sourceName, snapshots: considered },
    })
  }

  #manifest(id: string): Promise<Manifest | Failure> {
    let read = this.#read.get(id)
    if (!read) {
      read = this.#repository.tryManifest(id).then((found) => (found instanceof Failure ? found : found.manifest))
      this.#read.set(id, read)
    }
    return read
  }
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
