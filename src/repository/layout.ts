/**
 * The name of every object of a repository, in one place. Names hold no row value and no table name (I9): times,
 * random ids and key numbers only.
 *
 *     config                     what the repository is; readable without a key
 *     keys/<wrapper>             one way to unlock the repository: the master key, wrapped
 *     data-keys/<number>         a data key, sealed under the master key
 *     packs/<2 hex>/<32 hex>     chunks
 *     indexes/<snapshot>         which packs one run wrote
 *     manifests/<snapshot>       what one snapshot is; a snapshot exists once this is durable
 *     proofs/<time>-<hex>        what a scrub proved
 *     signers/<id>               who may sign
 *     revocations/<signer>       and who no longer may
 *     ledger/entries/<n>         the list of everything that was ever a snapshot
 *     ledger/heads/<size>        its state after so many entries
 *     ledger/checkpoints/<size>  the same, signed; readable without a key
 *     audit/<n>                  what was done by whom
 *     approvals/<plan>/<signer>  who said yes to what would be written into production
 *     changesets/<id>            what was written there, and what undoes it
 *     outcomes/<id>              that it was
 *     logs/<log>                 where one unbroken chain of captured transactions begins
 *     segments/<log>/<n>         the n-th piece of it
 *     leases/<lease>/<token>     who may write a source, and who reads now
 *     holds/<id>                 a snapshot that no rule may remove
 *     prunes/<id>                what is to be deleted when its grace is over
 *     trims/<log>/<n>            that a log begins at its n-th segment now
 *     plans/<plan>               a plan that was made over the API, waiting to be approved and applied
 *     tokens/<id>                who may use the API, as what; the secret as its digest only
 *     token-revocations/<id>     and who no longer may
 *     drills/<id>                what a drill found, signed
 *     guards/begin/<id>          what stood before a change of the clinical system, signed
 *     guards/end/<id>            and what it changed
 *     certificates/<number>      a certificate that the service issued, as its whole package
 *     requests/<day>/<hex>/…     what the API was asked under an Idempotency-Key, and what it answered
 *     jobs/<task>/<n>            the n-th run of a task of the service
 *     job-ends/<task>/<n>        and how it ended
 *     alarms/<alarm>/<n>         an alarm: raised, told to people, acknowledged, over
 */

export const CONFIG_KEY = 'config'
export const WRAPPER_PREFIX = 'keys/'
export const DATA_KEY_PREFIX = 'data-keys/'
export const PACK_PREFIX = 'packs/'
export const INDEX_PREFIX = 'indexes/'
export const MANIFEST_PREFIX = 'manifests/'
export const PROOF_PREFIX = 'proofs/'
export const SIGNER_PREFIX = 'signers/'
export const REVOCATION_PREFIX = 'revocations/'
export const LEDGER_ENTRY_PREFIX = 'ledger/entries/'
export const LEDGER_HEAD_PREFIX = 'ledger/heads/'
export const LEDGER_CHECKPOINT_PREFIX = 'ledger/checkpoints/'
export const AUDIT_PREFIX = 'audit/'
export const LOG_PREFIX = 'logs/'
export const SEGMENT_PREFIX = 'segments/'
export const LEASE_PREFIX = 'leases/'

export const APPROVAL_PREFIX = 'approvals/'
export const CHANGESET_PREFIX = 'changesets/'
export const OUTCOME_PREFIX = 'outcomes/'

export const HOLD_PREFIX = 'holds/'
export const PRUNE_PREFIX = 'prunes/'
export const TRIM_PREFIX = 'trims/'
/** Of an index that stands for those of forgotten snapshots: no snapshot has such an id. */
export const KEPT_INDEX_PREFIX = `${INDEX_PREFIX}kept-`
export const PLAN_PREFIX = 'plans/'
/** What the service keeps. */
export const JOB_PREFIX = 'jobs/'
export const JOB_END_PREFIX = 'job-ends/'
export const ALARM_PREFIX = 'alarms/'

export const TOKEN_PREFIX = 'tokens/'
export const TOKEN_REVOCATION_PREFIX = 'token-revocations/'
export const REQUEST_PREFIX = 'requests/'
export const DRILL_PREFIX = 'drills/'
export const GUARD_PREFIX = 'guards/'
export const CERTIFICATE_PREFIX = 'certificates/'

export function packKey(packId: string): string {
  return `${PACK_PREFIX}${packId.slice(0, 2)}/${packId}`
}

export function packIdOf(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1)
}

export function indexKey(snapshotId: string): string {
  return INDEX_PREFIX + snapshotId
}

export function manifestKey(snapshotId: string): string {
  return MANIFEST_PREFIX + snapshotId
}

export function snapshotIdOf(key: string): string {
  return key.slice(MANIFEST_PREFIX.length)
}

export function wrapperKey(wrapperId: string): string {
  return WRAPPER_PREFIX + wrapperId
}

export function dataKeyKey(keyNumber: number): string {
  return DATA_KEY_PREFIX + String(keyNumber).padStart(8, '0')
}

export function proofKey(id: string): string {
  return PROOF_PREFIX + id
}

export function signerKey(signerId: string): string {
  return SIGNER_PREFIX + signerId
}

export function revocationKey(signerId: string): string {
  return REVOCATION_PREFIX + signerId
}

export function logKey(logId: string): string {
  return LOG_PREFIX + logId
}

/** Apart from the logs themselves, which are few, and are listed often. */
export function segmentPrefix(logId: string): string {
  return `${SEGMENT_PREFIX}${logId}/`
}

export function segmentKey(logId: string, number: number): string {
  return numbered(segmentPrefix(logId), number)
}

/** Null when it is no segment's name as `segmentKey` writes it. */
export function segmentOf(key: string): { readonly logId: string; readonly number: number } | null {
  const [, logId, digits] = /^segments\/([A-Za-z0-9-]+)\/(\d{10,15})$/.exec(key) ?? []
  if (logId === undefined || digits === undefined) return null
  return segmentKey(logId, Number(digits)) === key ? { logId, number: Number(digits) } : null
}

export function holdKey(holdId: string): string {
  return HOLD_PREFIX + holdId
}

export function pruneKey(markId: string): string {
  return PRUNE_PREFIX + markId
}

export function keptIndexKey(markId: string): string {
  return KEPT_INDEX_PREFIX + markId
}

export function trimPrefix(logId: string): string {
  return `${TRIM_PREFIX}${logId}/`
}

/** `first`: the first segment that is kept. */
export function trimKey(logId: string, first: number): string {
  return numbered(trimPrefix(logId), first)
}

export function leasePrefix(lease: string): string {
  return `${LEASE_PREFIX}${lease}/`
}

export function approvalPrefix(planId: string): string {
  return `${APPROVAL_PREFIX}${planId}/`
}

export function approvalKey(planId: string, signerId: string): string {
  return approvalPrefix(planId) + signerId
}

export function changesetKey(changesetId: string): string {
  return CHANGESET_PREFIX + changesetId
}

export function changesetOutcomeKey(changesetId: string): string {
  return OUTCOME_PREFIX + changesetId
}

export function planKey(planId: string): string {
  return PLAN_PREFIX + planId
}

export function tokenKey(tokenId: string): string {
  return TOKEN_PREFIX + tokenId
}

export function tokenRevocationKey(tokenId: string): string {
  return TOKEN_REVOCATION_PREFIX + tokenId
}

/** Names that sort as their numbers do. */
export function numbered(prefix: string, number: number): string {
  return prefix + String(number).padStart(10, '0')
}

/** Sorts by time: `20261123T035042Z-1f2e3d4c`. */
export function timedId(timeMs: number, random: Uint8Array): string {
  const stamp = `${new Date(timeMs).toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`
  return `${stamp}-${Buffer.from(random).toString('hex')}`
}

/**
 * As `timedId`, and behind `latest` in order even when the clock stands, was set back, or ran ahead once: then the
 * second after the latest one's. What is newest must never hang on a clock (F28).
 */
export function timedIdAfter(latest: string | null, timeMs: number, random: Uint8Array): string {
  const id = timedId(timeMs, random)
  const stamp = latest === null ? null : /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-/.exec(latest)
  if (!stamp || id.slice(0, stamp[0].length) > stamp[0]) return id
  const [year, month, day, hour, minute, second] = stamp.slice(1).map(Number)
  return timedId(Date.UTC(year!, month! - 1, day, hour, minute, second! + 1), random)
}
