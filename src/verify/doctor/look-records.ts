/** What was proved of the repository and when, what records it keeps of people, and what was left half done. */
import type { Failure } from '../../errors.ts'
import { parseCanonical } from '../../repository/canonical-json.ts'
import { isDamage } from '../../repository/damage.ts'
import {
  approvalPrefix,
  CHANGESET_PREFIX,
  changesetOutcomeKey,
  INDEX_PREFIX,
  OUTCOME_PREFIX,
  PACK_PREFIX,
  packIdOf,
} from '../../repository/layout.ts'
import { parsePackIndex } from '../../repository/pack-index.ts'
import type { Repository } from '../../repository/repository.ts'
import { OBJECT_TYPES } from '../../repository/sealed-object.ts'
import { readChangeset } from '../../restore/patient/changeset.ts'
import { oldestProof } from '../proofs.ts'
import type { RepositoryTopic, Seen } from './check.ts'

type Found = Seen<RepositoryTopic>[]

const READS_AT_ONCE = 8
/** What `compare` leaves in the audit. */
export const COMPARE_DEED = 'database.compare'

/** Packs by the indexes that list them. Of the store's listing, what no index lists is an orphan. */
export async function lookAtPacks(repository: Repository, nowMs: number): Promise<Found> {
  const listed = await listedPacks(repository)
  const orphans: string[] = []
  for await (const { key } of repository.store.list(PACK_PREFIX)) {
    if (!listed.has(packIdOf(key))) orphans.push(key)
  }
  const found: Found = [{ topic: 'orphan-packs', objects: [], found: `${orphans.length}`, measure: orphans.length }]
  if (listed.size === 0) return found
  const { oldest, neverProved } = await oldestProof(repository, listed)
  const measure = oldest === null ? Number.POSITIVE_INFINITY : (nowMs - Date.parse(oldest)) / 1000
  const words = oldest ?? `${neverProved} of ${listed.size} packs: never`
  return [...found, { topic: 'proof-age', objects: [], found: words, measure }]
}

/** A damaged index is check's to say; its packs then look like orphans. @throws store-… */
async function listedPacks(repository: Repository): Promise<Set<string>> {
  const names = await repository.sealed.names(INDEX_PREFIX)
  const listed = new Set<string>()
  for (let start = 0; start < names.length; start += READS_AT_ONCE) {
    const batch = names.slice(start, start + READS_AT_ONCE).map(async (name) => {
      const bytes = await repository.sealed.read(name, OBJECT_TYPES.index).catch(damageOrThrow)
      return bytes === null ? [] : parsePackIndex(parseCanonical(bytes, name), name).packs
    })
    for (const { packId } of (await Promise.all(batch)).flat()) listed.add(packId)
  }
  return listed
}

function damageOrThrow(error: unknown): null {
  if (isDamage(error)) return null
  throw error
}

export async function lookAtAudit(repository: Repository, sourceName: string, nowMs: number): Promise<Found> {
  try {
    const entries = await repository.audit.read()
    const last = entries.findLast(
      ({ action, subject, outcome }) => action === COMPARE_DEED && subject === sourceName && outcome === 'done',
    )
    const measure = last === undefined ? Number.POSITIVE_INFINITY : (nowMs - Date.parse(last.time)) / 1000
    return [{ topic: 'compare-age', objects: [sourceName], found: last?.time ?? 'never', measure }]
  } catch (error) {
    if (!isDamage(error)) throw error
    return [{ topic: 'audit-chain', objects: [objectOf(error)], found: error.message }]
  }
}

export async function lookAtLedger(repository: Repository): Promise<Found> {
  try {
    await repository.ledger.read()
    return []
  } catch (error) {
    if (!isDamage(error)) throw error
    return [{ topic: 'ledger-chain', objects: [objectOf(error)], found: error.message }]
  }
}

function objectOf(error: Failure): string {
  return typeof error.context.object === 'string' ? error.context.object : 'audit'
}

/** Restores without a known end, and emergencies that nobody else has signed since. */
export async function lookAtRestores(repository: Repository): Promise<Found> {
  const ended = new Set(await repository.sealed.names(OUTCOME_PREFIX))
  const found: Found = []
  for (const name of await repository.sealed.names(CHANGESET_PREFIX)) {
    const id = name.slice(CHANGESET_PREFIX.length)
    const changeset = await readChangeset(repository, id)
    if (!ended.has(changesetOutcomeKey(id))) {
      found.push({ topic: 'restore-unfinished', objects: [id], found: changeset.startedAt })
    } else if (changeset.authorisation.startsWith('emergency')) {
      const signatures = await repository.sealed.names(approvalPrefix(changeset.planId))
      if (signatures.length > 0) continue
      found.push({ topic: 'emergency-open', objects: [id], found: `${changeset.startedAt}, ${changeset.executor}` })
    }
  }
  return found
}
