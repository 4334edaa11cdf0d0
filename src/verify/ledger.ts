/**
 * The ledger against the snapshots: every snapshot is entered, every entry's snapshot is there and is the one that was
 * entered, every stored checkpoint fits, and no manifest was signed by a key after it was revoked (F26).
 */
import { LEDGER_CHECKPOINT_PREFIX } from '../repository/layout.ts'
import { type Checkpoint, openCheckpoint } from '../repository/ledger/checkpoint.ts'
import { type Ledger, type LedgerVerdict, verifyAgainst } from '../repository/ledger/log.ts'
import type { ReadManifest, Repository } from '../repository/repository.ts'
import { isRevokedFor } from '../repository/signers.ts'
import { damageOf, type Finding, finding, warning } from './finding.ts'

/** `manifests` are those that opened. @throws store-… */
export async function ledgerFindings(
  repository: Repository,
  manifests: readonly ReadManifest[],
): Promise<readonly Finding[]> {
  const findings: Finding[] = []
  const ledger = await repository.ledger.read().catch((error) => {
    const { message } = damageOf(error)
    const hint = 'Compare with a copy of the repository, and with the checkpoints that the hospital holds.'
    findings.push(finding({ kind: 'ledger-damaged', object: 'ledger/', message, hint }))
    return null
  })
  if (ledger) {
    findings.push(...entryFindings(ledger, manifests))
    findings.push(...(await checkpointFindings(repository, ledger)))
  }
  await repository.audit.read().catch((error) => {
    findings.push(finding({ kind: 'audit-damaged', object: 'audit/', message: damageOf(error).message }))
  })
  return findings
}

function entryFindings(ledger: Ledger, manifests: readonly ReadManifest[]): Finding[] {
  const findings: Finding[] = []
  const bySnapshot = new Map(manifests.map((read) => [read.manifest.snapshotId, read]))
  const indexOf = new Map(ledger.entries.map(({ entry }, index) => [entry.snapshot, index]))
  for (const { entry } of ledger.entries) {
    const read = bySnapshot.get(entry.snapshot)
    if (!read) {
      const message = `snapshot ${entry.snapshot} is in the ledger, and its manifest cannot be read`
      findings.push(finding({ kind: 'manifest-missing', message, snapshots: [entry.snapshot] }))
    } else if (read.sha256 !== entry.manifest) {
      const message = `the manifest of ${entry.snapshot} has SHA-256 ${read.sha256}, the ledger says ${entry.manifest}`
      findings.push(finding({ kind: 'manifest-changed', message, snapshots: [entry.snapshot] }))
    }
  }
  for (const { manifest, signer } of manifests) {
    const snapshots = [manifest.snapshotId]
    const index = indexOf.get(manifest.snapshotId) ?? null
    if (isRevokedFor(signer, index)) {
      const message = `snapshot ${manifest.snapshotId} is signed by key ${signer.signerId}, which was revoked before`
      findings.push(finding({ kind: 'signer-revoked', message, snapshots }))
    } else if (index === null) {
      const message = `snapshot ${manifest.snapshotId} is not in the ledger: planted, or of a run that died at the end`
      const hint = 'The next `chartkeep backup` enters the newest snapshot; one that is older was planted.'
      const severity = manifest === manifests[0]?.manifest ? 'warning' : 'error'
      findings.push(finding({ kind: 'snapshot-unlogged', severity, message, snapshots, hint }))
    }
  }
  return findings
}

async function checkpointFindings(repository: Repository, ledger: Ledger): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const name of await repository.sealed.names(LEDGER_CHECKPOINT_PREFIX)) {
    try {
      const note = await repository.store.get(name)
      const checkpoint = openCheckpoint(note, [repository.ledger.verifierKey], ledger.origin)
      const verdict = verifyAgainst(ledger, checkpoint)
      if (verdict.kind === 'consistent') continue
      const message = `checkpoint ${name} and the ledger's entries contradict each other (${verdict.kind})`
      findings.push(finding({ kind: 'ledger-damaged', object: name, message }))
    } catch (error) {
      findings.push(finding({ kind: 'ledger-damaged', object: name, message: damageOf(error).message }))
    }
  }
  if (ledger.entries.length === 0 && findings.length === 0)
    return [warning({ kind: 'ledger-empty', message: 'the ledger has no entry yet' })]
  return findings
}

/** What happened to the ledger since somebody kept `checkpoints`. @throws repository-damaged, store-… */
export async function ledgerSince(repository: Repository, checkpoints: readonly Checkpoint[]): Promise<LedgerVerdict> {
  return verifyAgainst(await repository.ledger.read(), ...checkpoints)
}
