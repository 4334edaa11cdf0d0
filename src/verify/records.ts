/**
 * The records beside the snapshots: who may sign, the ledger of everything that was ever a snapshot, the audit. It is
 * the ledger that tells a snapshot which was lost from one that never was, and from one that was forgotten on purpose
 * (which the audit says).
 */
import { forgottenIn } from '../repository/audit.ts'
import { LEDGER_CHECKPOINT_PREFIX, LEDGER_HEAD_PREFIX, manifestKey, numbered } from '../repository/layout.ts'
import { openCheckpoint } from '../repository/ledger/checkpoint.ts'
import { type Ledger, verifyAgainst } from '../repository/ledger/log.ts'
import type { ExpectedState } from '../repository/ledger-store.ts'
import type { ReadManifest, Repository } from '../repository/repository.ts'
import { OBJECT_TYPES } from '../repository/sealed-object.ts'
import { isRevokedFor } from '../repository/signers.ts'
import { damageOf, type Finding, type FindingKind, finding, warning } from './finding.ts'

/** Snapshots that somebody removed on purpose. A damaged audit is a finding, and then nothing counts as forgotten. */
export async function forgottenSnapshots(repository: Repository, findings: Finding[]): Promise<ReadonlySet<string>> {
  const entries = await orFinding(findings, 'audit-damaged', () => repository.audit.read())
  return forgottenIn(entries ?? [])
}

/** As they are stored now: a process that runs for months must not look at what it once read. */
export async function checkSigners(repository: Repository, findings: Finding[]): Promise<void> {
  repository.forgetSigners()
  await orFinding(findings, 'signer-damaged', () => repository.signers())
}

interface LedgerLook {
  readonly repository: Repository
  readonly ledger: Ledger
  /** By size. */
  readonly states: ReadonlyMap<number, ExpectedState>
}

/** `unreadable`: manifests that are there and do not open; that is said elsewhere. */
export async function checkLedger(
  repository: Repository,
  manifests: readonly ReadManifest[],
  known: { readonly forgotten: ReadonlySet<string>; readonly unreadable: ReadonlySet<string> },
  findings: Finding[],
): Promise<void> {
  const ledger = await orFinding(findings, 'ledger-damaged', () => repository.ledger.read())
  if (!ledger) return
  findings.push(...entriesAgainstManifests(ledger, manifests, known))
  const states = new Map([...repository.ledger.expectedStates(ledger)].map((state) => [state.size, state]))
  await checkHeads({ repository, ledger, states }, findings)
  await checkCheckpoints({ repository, ledger, states }, findings)
}

function entriesAgainstManifests(
  ledger: Ledger,
  manifests: readonly ReadManifest[],
  { forgotten, unreadable }: { readonly forgotten: ReadonlySet<string>; readonly unreadable: ReadonlySet<string> },
): Finding[] {
  const digests = new Map(manifests.map(({ manifest, sha256 }) => [manifest.snapshotId, sha256]))
  const findings: Finding[] = []
  for (const { entry } of ledger.entries) {
    const { snapshot } = entry
    const found = digests.get(snapshot)
    digests.delete(snapshot)
    if (found === entry.manifest || forgotten.has(snapshot) || unreadable.has(snapshot)) continue
    const parts = { object: manifestKey(snapshot), snapshots: [snapshot], patientsComplete: false }
    if (found === undefined) {
      const message = `snapshot ${snapshot} is in the ledger, and its manifest is not there`
      const hint = 'Bring the object back from a copy: a snapshot without its manifest cannot be restored.'
      findings.push(finding({ kind: 'snapshot-vanished', message, hint, ...parts }))
    } else {
      const message = `manifest ${snapshot} has digest ${found}, the ledger says ${entry.manifest}`
      findings.push(finding({ kind: 'manifest-changed', message, ...parts }))
    }
  }
  return [...findings, ...unlogged(manifests, digests), ...signedAfterRevocation(ledger, manifests)]
}

/** A run that dies behind its manifest leaves the newest snapshot unlogged; an older one was put there (F26). */
function unlogged(manifests: readonly ReadManifest[], snapshots: ReadonlyMap<string, string>): Finding[] {
  const newest = manifests
    .map(({ manifest }) => manifest.snapshotId)
    .sort()
    .at(-1)
  return [...snapshots.keys()].map((snapshot) => {
    const parts = { kind: 'not-in-ledger', snapshots: [snapshot] } as const
    if (snapshot === newest) {
      const message = `snapshot ${snapshot} is not in the ledger: its backup was cut off behind its manifest`
      return warning({ ...parts, message, hint: 'The next `chartkeep backup` enters it.' })
    }
    const message = `snapshot ${snapshot} is not in the ledger, and it is not the newest: it was planted`
    return finding({ ...parts, message, hint: 'Do not restore it. Compare with a copy of the repository.' })
  })
}

/** What the ledger held before the revocation stays valid, whatever a thief's clock says. */
function signedAfterRevocation(ledger: Ledger, manifests: readonly ReadManifest[]): Finding[] {
  const indexes = new Map(ledger.entries.map(({ entry }, index) => [entry.snapshot, index]))
  return manifests
    .filter(({ manifest, signer }) => isRevokedFor(signer, indexes.get(manifest.snapshotId) ?? null))
    .map(({ manifest: { snapshotId }, signer }) => {
      const message = `snapshot ${snapshotId} was signed by key ${signer.signerId} after that was revoked`
      return finding({ kind: 'signer-revoked', message, snapshots: [snapshotId] })
    })
}

/** Heads can be computed again from the entries; one that says more than the entries do shows that some are gone. */
async function checkHeads({ repository, ledger, states }: LedgerLook, findings: Finding[]): Promise<void> {
  const names = await repository.sealed.names(LEDGER_HEAD_PREFIX)
  for (const name of names) {
    await orFinding(findings, 'ledger-damaged', async () => {
      const found = await repository.sealed.read(name, OBJECT_TYPES.ledgerHead)
      const wanted = states.get(Number(name.slice(LEDGER_HEAD_PREFIX.length)))?.head
      if (wanted === undefined || Buffer.compare(found, wanted) === 0) return
      const message = `object ${name} is not what the ledger's entries give: the next entry would be written wrong`
      findings.push(finding({ kind: 'ledger-damaged', object: name, message, patientsComplete: false }))
    })
  }
  sayMissing(findings, names, LEDGER_HEAD_PREFIX, ledger)
}

async function checkCheckpoints({ repository, ledger, states }: LedgerLook, findings: Finding[]): Promise<void> {
  const names = await repository.sealed.names(LEDGER_CHECKPOINT_PREFIX)
  for (const name of names) {
    await orFinding(findings, 'ledger-damaged', async () => {
      const note = Buffer.from(await repository.store.get(name)).toString('utf8')
      const checkpoint = openCheckpoint(note, [repository.ledger.verifierKey], repository.ledger.origin)
      const root = states.get(checkpoint.size)?.root
      const fits = root !== undefined && Buffer.compare(root, checkpoint.root) === 0
      if (fits && numbered(LEDGER_CHECKPOINT_PREFIX, checkpoint.size) === name) return
      const { kind } = verifyAgainst(ledger, checkpoint)
      const message = `the ledger is not what object ${name} says it was: ${kind}`
      findings.push(finding({ kind: 'ledger-damaged', object: name, message, patientsComplete: false }))
    })
  }
  sayMissing(findings, names, LEDGER_CHECKPOINT_PREFIX, ledger)
}

/** One object for each size of the ledger. A crash may leave some out; nothing may be left over. */
function sayMissing(findings: Finding[], names: readonly string[], prefix: string, ledger: Ledger): void {
  const wanted = new Set(ledger.entries.map((_, index) => numbered(prefix, index + 1)))
  const there = new Set(names)
  for (const object of there) {
    if (wanted.has(object)) continue
    const message = `the ledger has ${ledger.entries.length} entries, and object ${object} knows more: the newest are gone`
    findings.push(finding({ kind: 'ledger-damaged', object, message, patientsComplete: false }))
  }
  for (const object of wanted) {
    if (there.has(object)) continue
    const message = `object ${object} is not there; it can be made again from the ledger's entries`
    findings.push(warning({ kind: 'ledger-object-missing', object, message }))
  }
}

/** What `work` gives; null, and a finding, when what it reads is damaged. @throws store-… */
async function orFinding<T>(findings: Finding[], kind: FindingKind, work: () => Promise<T>): Promise<T | null> {
  try {
    return await work()
  } catch (error) {
    const { message, context } = damageOf(error)
    const object = typeof context.object === 'string' ? { object: context.object } : {}
    findings.push(finding({ kind, message, ...object }))
    return null
  }
}
