/**
 * What objects a repository has, and which it should have: manifests and their chain, indexes, packs, keys. One listing
 * of everything, and one read of each small object; packs are not opened here.
 *
 *     config ── keys ── data keys          readable at all?
 *     manifests ─→ chain of `previous`     is a snapshot missing that a later one names?
 *        └─→ index ─→ packs                is every pack there, with its exact size?
 */
import { Failure } from '../errors.ts'
import { parseCanonical } from '../repository/canonical-json.ts'
import { parseKeyWrapper } from '../repository/crypto/key-wrapper.ts'
import {
  ALARM_PREFIX,
  APPROVAL_PREFIX,
  AUDIT_PREFIX,
  CERTIFICATE_PREFIX,
  CHANGESET_PREFIX,
  CONFIG_KEY,
  DATA_KEY_PREFIX,
  DRILL_PREFIX,
  dataKeyKey,
  GUARD_PREFIX,
  HOLD_PREFIX,
  INDEX_PREFIX,
  indexKey,
  JOB_END_PREFIX,
  JOB_PREFIX,
  KEPT_INDEX_PREFIX,
  LEASE_PREFIX,
  LEDGER_CHECKPOINT_PREFIX,
  LEDGER_ENTRY_PREFIX,
  LEDGER_HEAD_PREFIX,
  LOG_PREFIX,
  MANIFEST_PREFIX,
  manifestKey,
  OUTCOME_PREFIX,
  PACK_PREFIX,
  PLAN_PREFIX,
  PROOF_PREFIX,
  PRUNE_PREFIX,
  packIdOf,
  packKey,
  REQUEST_PREFIX,
  REVOCATION_PREFIX,
  SEGMENT_PREFIX,
  SIGNER_PREFIX,
  snapshotIdOf,
  TOKEN_PREFIX,
  TOKEN_REVOCATION_PREFIX,
  TRIM_PREFIX,
  WRAPPER_PREFIX,
} from '../repository/layout.ts'
import type { Manifest } from '../repository/manifest.ts'
import type { PackRecord } from '../repository/pack/pack-writer.ts'
import { type PackIndex, parsePackIndex } from '../repository/pack-index.ts'
import type { ReadManifest, Repository } from '../repository/repository.ts'
import { verifyConfig, verifyDataKey } from '../repository/repository-lifecycle.ts'
import { OBJECT_TYPES } from '../repository/sealed-object.ts'
import { changesetFindings } from './changesets.ts'
import { damageOf, type Finding, finding, warning } from './finding.ts'
import { checkLedger, checkSigners, forgottenSnapshots } from './records.ts'
import { RETENTION_PREFIXES, retentionFindings } from './retention.ts'

export interface Inventory {
  /** Manifests that opened, newest first. */
  readonly manifests: readonly Manifest[]
  /** Every pack that an index lists, by id. */
  readonly packs: ReadonlyMap<string, PackRecord>
  /** Packs of which nothing, or not everything, can be read: missing, or of another size. */
  readonly lostPacks: ReadonlyMap<string, Finding>
  /** Packs in the store that no index lists. */
  readonly unlistedPacks: ReadonlySet<string>
  /** Snapshots whose index cannot be read; their packs are then unlisted. */
  readonly lostIndexes: ReadonlyMap<string, Finding>
  readonly objects: number
  readonly bytes: number
}

/** Object names and their sizes, by folder. */
export interface Listing {
  readonly objects: ReadonlyMap<string, number>
  keys(prefix: string): string[]
}

const PREFIXES = [
  WRAPPER_PREFIX,
  DATA_KEY_PREFIX,
  PACK_PREFIX,
  INDEX_PREFIX,
  MANIFEST_PREFIX,
  PROOF_PREFIX,
  SIGNER_PREFIX,
  REVOCATION_PREFIX,
  LEDGER_ENTRY_PREFIX,
  LEDGER_HEAD_PREFIX,
  LEDGER_CHECKPOINT_PREFIX,
  AUDIT_PREFIX,
  LOG_PREFIX,
  SEGMENT_PREFIX,
  LEASE_PREFIX,
  APPROVAL_PREFIX,
  CHANGESET_PREFIX,
  OUTCOME_PREFIX,
  PLAN_PREFIX,
  TOKEN_PREFIX,
  TOKEN_REVOCATION_PREFIX,
  REQUEST_PREFIX,
  HOLD_PREFIX,
  PRUNE_PREFIX,
  TRIM_PREFIX,
  JOB_PREFIX,
  JOB_END_PREFIX,
  ALARM_PREFIX,
  DRILL_PREFIX,
  GUARD_PREFIX,
  CERTIFICATE_PREFIX,
]
const NAMES_SHOWN = 5

/** @throws store-…: a listing that is not whole is no inventory (F17) */
export async function listObjects(repository: Repository): Promise<Listing> {
  const objects = new Map<string, number>()
  for await (const { key, bytes } of repository.store.list('')) objects.set(key, bytes)
  return { objects, keys: (prefix) => [...objects.keys()].filter((key) => key.startsWith(prefix)) }
}

/** Adds to `findings` as it goes, so that they are known when it is interrupted. @throws store-… */
export async function takeInventory(repository: Repository, listing: Listing, findings: Finding[]): Promise<Inventory> {
  findings.push(...unknownObjects(listing))
  await checkKeys(repository, listing, findings)
  await checkSigners(repository, findings)
  const forgotten = await forgottenSnapshots(repository, findings)
  const manifests = await readManifests(repository, listing, findings)
  // What was damaged may be mended while this process goes on.
  repository.forgetSigners()
  const read = new Set(manifests.map(({ manifest }) => manifest.snapshotId))
  const unreadable = new Set(
    listing
      .keys(MANIFEST_PREFIX)
      .map(snapshotIdOf)
      .filter((id) => !read.has(id)),
  )
  await checkLedger(repository, manifests, { forgotten, unreadable }, findings)
  findings.push(...chainFindings(manifests, forgotten), ...(await strayIndexes(repository, listing, forgotten)))

  const restores = [APPROVAL_PREFIX, CHANGESET_PREFIX, OUTCOME_PREFIX].flatMap((prefix) => listing.keys(prefix))
  findings.push(...(await changesetFindings(repository, restores)))
  const retention = RETENTION_PREFIXES.flatMap((prefix) => listing.keys(prefix))
  findings.push(...(await retentionFindings(repository, retention)))

  const { packs, lostIndexes } = await readIndexes(repository, listing, manifests)
  const unlisted = listing
    .keys(PACK_PREFIX)
    .map(packIdOf)
    .filter((packId) => !packs.has(packId))
  return {
    manifests: manifests.map(({ manifest }) => manifest),
    packs,
    lostPacks: lostPacks(packs, listing),
    unlistedPacks: new Set(unlisted),
    lostIndexes,
    objects: listing.objects.size,
    bytes: [...listing.objects.values()].reduce((sum, bytes) => sum + bytes, 0),
  }
}

/** Also those without a manifest: packs of a forgotten snapshot may hold what later ones need. */
async function readIndexes(repository: Repository, listing: Listing, manifests: readonly ReadManifest[]) {
  const lostIndexes = new Map<string, Finding>()
  const packs = new Map<string, PackRecord>()
  const read = async (snapshotId: string, work: () => Promise<PackIndex>): Promise<void> => {
    try {
      for (const pack of (await work()).packs) packs.set(pack.packId, pack)
    } catch (error) {
      lostIndexes.set(snapshotId, indexFinding(snapshotId, damageOf(error)))
    }
  }
  const known = new Set<string>()
  for (const { manifest } of manifests) {
    known.add(indexKey(manifest.snapshotId))
    await read(manifest.snapshotId, () => repository.readIndex(manifest))
  }
  for (const key of listing.keys(INDEX_PREFIX)) {
    if (known.has(key)) continue
    const openStray = async () => {
      const bytes = await repository.sealed.read(key, OBJECT_TYPES.index).catch((error) => {
        // Another one has taken its place meanwhile, and was not listed yet.
        if (error instanceof Failure && error.code === 'object-missing') throw vanishing(error, key)
        throw error
      })
      return parsePackIndex(parseCanonical(bytes, key), key)
    }
    await read(key.slice(INDEX_PREFIX.length), openStray)
  }
  return { packs, lostIndexes }
}

async function checkKeys(repository: Repository, listing: Listing, findings: Finding[]): Promise<void> {
  const everySnapshot = listing.keys(MANIFEST_PREFIX).map(snapshotIdOf).sort()
  await verifyConfig(repository).catch((error) => {
    const { message } = damageOf(error)
    findings.push(finding({ kind: 'config-damaged', object: CONFIG_KEY, message, snapshots: everySnapshot }))
  })
  const wrappers = listing.keys(WRAPPER_PREFIX)
  if (wrappers.length === 0) {
    const message = 'no key wrapper is left: no passphrase, key file or recovery sheet opens the repository any more'
    const hint = 'Bring the objects under keys/ back from a copy while this process still has the keys.'
    findings.push(finding({ kind: 'wrapper-missing', object: WRAPPER_PREFIX, message, hint, snapshots: everySnapshot }))
  }
  for (const name of wrappers) {
    const problem = await wrapperProblem(repository, name)
    if (problem) findings.push(finding({ kind: 'wrapper-damaged', object: name, message: problem }))
  }
  for (const { number } of repository.keyring.secrets.dataKeys) {
    await verifyDataKey(repository, number).catch((error) => {
      const { code, message } = damageOf(error)
      const kind = code === 'object-missing' ? 'data-key-missing' : 'data-key-damaged'
      findings.push(finding({ kind, object: dataKeyKey(number), message, snapshots: everySnapshot }))
    })
  }
}

async function wrapperProblem(repository: Repository, name: string): Promise<string | null> {
  try {
    parseKeyWrapper(name, await repository.store.get(name))
    return null
  } catch (error) {
    return damageOf(error).message
  }
}

function unknownObjects(listing: Listing): Finding[] {
  const names = [...listing.objects.keys()]
  const unknown = names.filter((key) => key !== CONFIG_KEY && !PREFIXES.some((prefix) => key.startsWith(prefix)))
  if (unknown.length === 0) return []
  const shown = unknown.slice(0, NAMES_SHOWN).join(', ')
  const more = unknown.length > NAMES_SHOWN ? ', …' : ''
  const message = `${unknown.length} objects are none of a repository's: ${shown}${more}`
  return [warning({ kind: 'unknown-object', message })]
}

async function readManifests(
  repository: Repository,
  listing: Listing,
  findings: Finding[],
): Promise<readonly ReadManifest[]> {
  const read: ReadManifest[] = []
  for (const key of listing.keys(MANIFEST_PREFIX).sort().reverse()) {
    const snapshotId = snapshotIdOf(key)
    try {
      read.push(await repository.readManifest(snapshotId))
    } catch (error) {
      if (error instanceof Failure && error.code === 'snapshot-not-found') throw vanishing(error, key)
      const { message } = damageOf(error)
      const hint = 'The snapshot cannot be restored from this repository: bring the object back from a copy.'
      const parts = { object: key, message, snapshots: [snapshotId], patientsComplete: false, hint }
      findings.push(finding({ kind: 'manifest-damaged', ...parts }))
    }
  }
  return read
}

/** Listed a moment ago: somebody removes objects while we look, so that nothing we say would hold. */
function vanishing(error: Failure, key: string): Failure {
  return new Failure('store-unreachable', `object ${key} was listed and then not there`, { cause: error })
}

/** A manifest names the one before it by its digest: a chain from the newest to the first. */
function chainFindings(manifests: readonly ReadManifest[], forgotten: ReadonlySet<string>): Finding[] {
  const byId = new Map(manifests.map((read) => [read.manifest.snapshotId, read]))
  return manifests.flatMap(({ manifest }) => {
    const { previous, snapshotId } = manifest
    if (!previous) return []
    const found = byId.get(previous.snapshotId)
    if (found ? found.sha256 === previous.sha256 : forgotten.has(previous.snapshotId)) return []
    const object = manifestKey(previous.snapshotId)
    const snapshots = [previous.snapshotId]
    if (found) {
      const message = `manifest ${previous.snapshotId} has digest ${found.sha256}, ${snapshotId} names it with ${previous.sha256}`
      return [finding({ kind: 'manifest-changed', object, message, snapshots, patientsComplete: false })]
    }
    const message = `manifest ${previous.snapshotId}, which ${snapshotId} names as the one before it, cannot be read`
    const hint = 'Bring the object back from a copy: a snapshot without its manifest cannot be restored.'
    return [finding({ kind: 'manifest-missing', object, message, hint, snapshots, patientsComplete: false })]
  })
}

/**
 * Either the manifest was lost, or the run ended between writing its index and its manifest. The two look alike, and
 * the first must not be taken for the second. A run that is under way may have written its manifest since the listing.
 */
async function strayIndexes(
  repository: Repository,
  listing: Listing,
  forgotten: ReadonlySet<string>,
): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const key of listing.keys(INDEX_PREFIX)) {
    if (key.startsWith(KEPT_INDEX_PREFIX)) continue
    const snapshotId = key.slice(INDEX_PREFIX.length)
    const object = manifestKey(snapshotId)
    if (listing.objects.has(object) || forgotten.has(snapshotId) || (await repository.store.stat(object))) continue
    // A snapshot that was whole is in the ledger, and its loss is said there: this is what a killed backup leaves.
    const message = `snapshot ${snapshotId} has an index and no manifest: its backup was cut off behind its index`
    const hint = 'Nothing refers to it. The next `chartkeep backup` uses again what it stored.'
    findings.push(warning({ kind: 'index-without-manifest', object, message, hint, snapshots: [snapshotId] }))
  }
  return findings
}

function indexFinding(snapshotId: string, { code, message }: Failure): Finding {
  const kind = code === 'object-missing' ? 'index-missing' : 'index-damaged'
  return finding({ kind, object: indexKey(snapshotId), message, snapshots: [snapshotId] })
}

function lostPacks(packs: ReadonlyMap<string, PackRecord>, listing: Listing): Map<string, Finding> {
  const lost = new Map<string, Finding>()
  const hint = 'Bring the object back from a copy, or take a new snapshot: what it held is stored again then.'
  for (const { packId, bytes } of packs.values()) {
    const object = packKey(packId)
    const found = listing.objects.get(object)
    if (found === bytes) continue
    const parts =
      found === undefined
        ? { kind: 'pack-missing' as const, message: `pack ${packId} of ${bytes} bytes is not there` }
        : { kind: 'pack-size' as const, message: `pack ${packId} has ${found} bytes, its index says ${bytes}` }
    lost.set(packId, finding({ ...parts, object, hint }))
  }
  return lost
}
