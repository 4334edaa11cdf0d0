/**
 * Which transactions of a history are ours: an approved restore, or the undo of one. What a mark in the log claims is held
 * against the changeset that the repository kept before anything was written.
 */
import { isDamage } from '../../repository/damage.ts'
import type { EventTime } from '../../repository/history/event.ts'
import { CHANGESET_PREFIX } from '../../repository/layout.ts'
import type { Repository } from '../../repository/repository.ts'
import { type Changeset, readChangeset } from './changeset.ts'
import { hasNumber, isTransactionOf, parseMark } from './own-transaction.ts'

export type OwnRestore =
  | {
      readonly kind: Changeset['kind']
      readonly changesetId: string
      readonly authorisation: string
      readonly executor: string
    }
  /** It is marked as ours, and no changeset of the repository says so. */
  | { readonly kind: 'unknown'; readonly changesetId: string }

/** A restore that waits for its commit longer than this has given up. */
const COMMIT_WITHIN_MS = 60 * 60 * 1000

export class OwnRestores {
  readonly #changesets: ReadonlyMap<string, Changeset>

  private constructor(changesets: ReadonlyMap<string, Changeset>) {
    this.#changesets = changesets
  }

  /** One that is damaged is left out: its transactions are then marked by nobody known. @throws store-… */
  static async read(repository: Repository, sourceName: string): Promise<OwnRestores> {
    const changesets = new Map<string, Changeset>()
    for (const name of await repository.sealed.names(CHANGESET_PREFIX)) {
      const changesetId = name.slice(CHANGESET_PREFIX.length)
      const changeset = await readChangeset(repository, changesetId).catch((error) => {
        if (isDamage(error)) return null
        throw error
      })
      if (changeset?.sourceName === sourceName) changesets.set(changesetId, changeset)
    }
    return new OwnRestores(changesets)
  }

  of(time: EventTime): OwnRestore | null {
    if (time.kind !== 'transaction') return null
    const { xid, mark, commitTimeUs } = time.stamp
    const marked = parseMark(mark)
    if (marked !== null) {
      const { changesetId } = marked
      const changeset = this.#changesets.get(changesetId)
      return changeset && isTransactionOf(changeset, marked, xid)
        ? described(changeset)
        : { kind: 'unknown', changesetId }
    }
    // A server without messages in its stream (13) says no mark: its transaction is known by its number and its time.
    const committedMs = Number(commitTimeUs / 1000n)
    for (const changeset of this.#changesets.values()) {
      const waitedMs = Math.abs(committedMs - Date.parse(changeset.startedAt))
      if (hasNumber(changeset, xid) && waitedMs < COMMIT_WITHIN_MS) return described(changeset)
    }
    return null
  }
}

function described({ kind, changesetId, authorisation, executor }: Changeset): OwnRestore {
  return { kind, changesetId, authorisation, executor }
}
