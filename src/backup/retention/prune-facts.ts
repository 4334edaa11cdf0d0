/** Everything that a prune must know before it can say of one object that nothing needs it. Reads, and changes nothing. */
import { Failure } from '../../errors.ts'
import { parseCanonical } from '../../repository/canonical-json.ts'
import { isDamage } from '../../repository/damage.ts'
import { INDEX_PREFIX, indexKey, KEPT_INDEX_PREFIX, LEASE_PREFIX, packKey } from '../../repository/layout.ts'
import { type ClaimLook, newestClaim } from '../../repository/lease.ts'
import type { PackRecord } from '../../repository/pack/pack-writer.ts'
import { parsePackIndex } from '../../repository/pack-index.ts'
import { type Reader, readersAlive } from '../../repository/readers.ts'
import type { Repository } from '../../repository/repository.ts'
import { OBJECT_TYPES } from '../../repository/sealed-object.ts'
import { assertClock } from './clock.ts'
import type { KeepRules } from './keep-rules.ts'
import { type LivePack, livePacks } from './live.ts'
import { type LogNeed, logNeeds } from './log-needs.ts'
import { type PruneMark, readMarks } from './prune-mark.ts'
import { lied, type Survey, takeSurvey } from './survey.ts'

/**
 * `snapshot`: of one that is kept. `forgotten`: of one that was forgotten. `merged`: stands for those of several forgotten
 * ones. `cut-off`: of a backup that died before its manifest, or is about to write it.
 */
export type IndexKind = 'snapshot' | 'forgotten' | 'merged' | 'cut-off'

export interface KnownIndex {
  readonly name: string
  readonly kind: IndexKind
  readonly packs: readonly PackRecord[]
}

export interface PruneFacts {
  readonly survey: Survey
  readonly indexes: readonly KnownIndex[]
  readonly live: ReadonlyMap<string, LivePack>
  readonly logs: readonly LogNeed[]
  readonly marks: readonly PruneMark[]
  readonly readers: readonly Reader[]
  /** By lease. */
  readonly claims: ReadonlyMap<string, ClaimLook>
}

export interface FactsRequest {
  readonly repository: Repository
  /** By source. */
  readonly rules: ReadonlyMap<string, KeepRules>
  readonly nowMs: () => number
  readonly sleep: (ms: number) => Promise<void>
  readonly signal: AbortSignal
}

/** @throws clock-doubtful, store-lied; repository-damaged where something needed is not whole; store-… */
export async function pruneFacts(request: FactsRequest): Promise<PruneFacts> {
  const { repository, signal, nowMs } = request
  // Whoever begins to read behind this look finds what is kept, and nothing else is kept for him.
  const readers = await readersAlive(repository, request)
  const survey = await takeSurvey(repository, signal)
  refuseUnreadable(survey)
  const marks = await readMarks(repository)
  assertClock(
    survey,
    marks.map(({ madeAt }) => madeAt),
    nowMs(),
  )
  const indexes = await readIndexes(repository, survey)
  const own = new Set(indexes.filter(({ kind }) => kind === 'snapshot').flatMap(({ packs }) => packs.map(idOf)))
  const others = indexes.filter(({ kind }) => kind !== 'snapshot').flatMap(({ packs }) => packs.map(idOf))
  const counted = new Set(others.filter((packId) => !own.has(packId)))
  const live = await livePacks({ repository, manifests: survey.manifests, counted, signal })
  await assertThere(repository, { survey, indexes, needed: new Set([...own, ...live.keys()]) })
  const logs = await logNeeds({ repository, survey, rules: request.rules, nowMs: nowMs() })
  return { survey, indexes, live, logs, marks, readers, claims: await readClaims(repository, survey) }
}

function idOf({ packId }: PackRecord): string {
  return packId
}

/** What it needs is not known. */
function refuseUnreadable({ unreadable }: Survey): void {
  const [first] = unreadable
  if (!first) return
  const { code, message, context } = first.failure
  throw new Failure(code, `snapshot ${first.snapshotId} cannot be read, so nobody knows what it needs: ${message}`, {
    context,
    cause: first.failure,
    hints: ['Nothing was deleted. Bring its manifest back from a copy; `chartkeep check` says what else is wrong.'],
  })
}

async function readIndexes(repository: Repository, { objects, manifests, forgotten }: Survey): Promise<KnownIndex[]> {
  const indexes: KnownIndex[] = []
  const ofSnapshots = new Set<string>()
  for (const manifest of manifests) {
    const name = indexKey(manifest.snapshotId)
    ofSnapshots.add(name)
    const { packs } = await repository.readIndex(manifest).catch((error) => {
      throw withoutIndex(name, error)
    })
    indexes.push({ name, kind: 'snapshot', packs })
  }
  for (const name of objects.keys()) {
    if (!name.startsWith(INDEX_PREFIX) || ofSnapshots.has(name)) continue
    const isMerged = name.startsWith(KEPT_INDEX_PREFIX)
    const kind = isMerged ? 'merged' : forgotten.has(name.slice(INDEX_PREFIX.length)) ? 'forgotten' : 'cut-off'
    indexes.push({ name, kind, packs: await packsOf(repository, name) })
  }
  return indexes
}

function withoutIndex(name: string, error: unknown): unknown {
  if (!isDamage(error)) return error
  return new Failure('repository-damaged', `the index of a kept snapshot cannot be relied on: ${error.message}`, {
    context: { object: name },
    cause: error,
    hints: ['Nothing was deleted. Bring the object back from a copy; `chartkeep check` says what else is wrong.'],
  })
}

/** Of an index that is damaged, none: should a pack of it be needed, its record is missed. */
async function packsOf(repository: Repository, name: string): Promise<readonly PackRecord[]> {
  try {
    return parsePackIndex(parseCanonical(await repository.sealed.read(name, OBJECT_TYPES.index), name), name).packs
  } catch (error) {
    if (isDamage(error)) return []
    throw error
  }
}

interface Needed {
  readonly survey: Survey
  readonly indexes: readonly KnownIndex[]
  readonly needed: ReadonlySet<string>
}

/** Every pack that is needed is listed by an index, and there in its full length. */
async function assertThere({ store }: Repository, { survey, indexes, needed }: Needed): Promise<void> {
  const records = new Map(indexes.flatMap(({ packs }) => packs.map((pack) => [pack.packId, pack])))
  for (const packId of needed) {
    const name = packKey(packId)
    const record = records.get(packId)
    const listed = survey.objects.get(name)
    if (record && listed === record.bytes) continue
    const there = (await store.stat(name))?.bytes
    if (record && there === record.bytes) throw lied(name)
    const what = record
      ? there === undefined
        ? 'is not there'
        : `has ${there} bytes, its index says ${record.bytes}`
      : 'is listed by no index'
    throw new Failure('repository-damaged', `pack ${packId}, which a kept snapshot needs, ${what}`, {
      context: { object: name },
      hints: [
        'Nothing was deleted. Run `chartkeep check` to see what is damaged, and whom it affects.',
        'Something else may delete in this store: look for a lifecycle rule of the bucket.',
      ],
    })
  }
}

async function readClaims(repository: Repository, { objects }: Survey): Promise<Map<string, ClaimLook>> {
  const claims = new Map<string, ClaimLook>()
  for (const key of objects.keys()) {
    const lease = key.startsWith(LEASE_PREFIX) ? (key.split('/')[1] ?? '') : ''
    if (lease === '' || claims.has(lease)) continue
    const newest = await newestClaim(repository, lease)
    if (newest) claims.set(lease, newest)
  }
  return claims
}
