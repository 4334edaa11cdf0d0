/**
 * What there is, as far as the repository's own records and the store's answers agree. Whoever deletes must not believe a
 * listing (F17): what the ledger, the audit or an index knows and a listing leaves out is asked for by name, and whatever
 * is then found or missed ends the work, with a finding that names it. Nothing is deleted on doubtful knowledge.
 */
import { Failure } from '../../errors.ts'
import { type AuditEntry, forgottenIn } from '../../repository/audit.ts'
import { AUDIT_PREFIX, MANIFEST_PREFIX, manifestKey, numbered, snapshotIdOf } from '../../repository/layout.ts'
import type { Ledger } from '../../repository/ledger/log.ts'
import type { Manifest } from '../../repository/manifest.ts'
import type { ReadManifest, Repository } from '../../repository/repository.ts'
import type { Store } from '../../repository/store/contract.ts'
import { type Hold, readHolds } from './hold.ts'

const READS_AT_ONCE = 8

export interface Survey {
  /** Names and sizes of everything. */
  readonly objects: ReadonlyMap<string, number>
  /** That can be relied on, newest first. */
  readonly manifests: readonly Manifest[]
  /** That are there and cannot be relied on. */
  readonly unreadable: readonly { readonly snapshotId: string; readonly failure: Failure }[]
  /** By the audit, whether or not their manifests are gone. */
  readonly forgotten: ReadonlySet<string>
  readonly audit: readonly AuditEntry[]
  readonly holds: readonly Hold[]
}

/** @throws store-lied, repository-damaged where something does not agree; store-… */
export async function takeSurvey(repository: Repository, signal: AbortSignal): Promise<Survey> {
  const objects = new Map<string, number>()
  for await (const { key, bytes } of repository.store.list('')) objects.set(key, bytes)
  const audit = await wholeAudit(repository)
  const forgotten = forgottenIn(audit)
  const ledger = await wholeLedger(repository)
  await assertListed(repository.store, objects, ledger, forgotten)
  const { manifests, unreadable } = await readManifests(repository, objects, signal)
  assertNonePlanted(ledger, manifests)
  const holds = await readHolds(repository, audit)
  return { objects, manifests: manifests.map(({ manifest }) => manifest), unreadable, forgotten, audit, holds }
}

/** The chain proves that none in between is missing; the last ones nothing names. */
async function wholeAudit({ audit, store }: Repository): Promise<AuditEntry[]> {
  const entries = await audit.read()
  const next = numbered(AUDIT_PREFIX, entries.length)
  if (await store.stat(next)) throw lied(next)
  return entries
}

async function wholeLedger({ ledger }: Repository): Promise<Ledger> {
  const read = await ledger.read()
  // Found by asking for one entry after the other, and not by a listing.
  const { checkpoint } = await ledger.checkpoint(new Date(0).toISOString())
  if (checkpoint.size === read.entries.length) return read
  throw new Failure(
    'store-lied',
    `the store lists ${read.entries.length} entries of the ledger, which has ${checkpoint.size}`,
    { hints: LATER },
  )
}

async function assertListed(
  store: Store,
  objects: ReadonlyMap<string, number>,
  ledger: Ledger,
  forgotten: ReadonlySet<string>,
): Promise<void> {
  for (const { entry } of ledger.entries) {
    const name = manifestKey(entry.snapshot)
    if (forgotten.has(entry.snapshot) || objects.has(name)) continue
    if (await store.stat(name)) throw lied(name)
    throw new Failure(
      'repository-damaged',
      `snapshot ${entry.snapshot} is in the ledger, nobody forgot it, and its manifest is not there`,
      {
        context: { object: name },
        hints: [
          'Nothing was deleted. Something else deletes in this store: look for a lifecycle rule of the bucket.',
          'Bring the object back from a copy; `chartkeep check` says what else is missing.',
        ],
      },
    )
  }
}

async function readManifests(repository: Repository, objects: ReadonlyMap<string, number>, signal: AbortSignal) {
  const ids = [...objects.keys()].filter((key) => key.startsWith(MANIFEST_PREFIX)).map(snapshotIdOf)
  const manifests: ReadManifest[] = []
  const unreadable: { readonly snapshotId: string; readonly failure: Failure }[] = []
  const waiting = ids.sort()
  const lane = async () => {
    for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
      signal.throwIfAborted()
      const read = await repository.tryManifest(id)
      if (read instanceof Failure) unreadable.push({ snapshotId: id, failure: read })
      else manifests.push(read)
    }
  }
  await Promise.all(Array.from({ length: READS_AT_ONCE }, lane))
  manifests.sort((a, b) => (a.manifest.snapshotId < b.manifest.snapshotId ? 1 : -1))
  return { manifests, unreadable }
}

/** One that somebody put there would take the place of a true one under the rules (F26). */
function assertNonePlanted(ledger: Ledger, manifests: readonly ReadManifest[]): void {
  const logged = new Map(ledger.entries.map(({ entry }) => [entry.snapshot, entry.manifest]))
  const met = new Set<string>()
  const planted = manifests.find(({ manifest, sha256 }) => {
    const known = logged.get(manifest.snapshotId)
    const isNewest = !met.has(manifest.sourceName)
    met.add(manifest.sourceName)
    // A backup that died behind its manifest leaves the newest one of its source unlogged.
    return known === undefined ? !isNewest : known !== sha256
  })
  if (!planted) return
  const { snapshotId } = planted.manifest
  throw new Failure('repository-damaged', `snapshot ${snapshotId} is not what the ledger holds under its name`, {
    context: { object: manifestKey(snapshotId) },
    hints: ['Nothing was deleted. Run `chartkeep check` to see what is wrong with it.'],
  })
}

const LATER = ['Nothing was deleted. Run the command again in a minute: some stores list late.']

/** An object that is there, and that the store does not list. */
export function lied(name: string): Failure {
  return new Failure('store-lied', `the store does not list object ${name}, which it has`, {
    context: { object: name },
    hints: LATER,
  })
}
