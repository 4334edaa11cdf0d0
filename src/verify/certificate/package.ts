/** The files of a certificate: data, tables, proofs, pages, and the program that verifies them, sealed together. */
import { readFile } from 'node:fs/promises'
import { canonicalBytes } from '../../repository/canonical-json.ts'
import { manifestKey } from '../../repository/layout.ts'
import type { ReadManifest, Repository } from '../../repository/repository.ts'
import { OBJECT_TYPES } from '../../repository/sealed-object.ts'
import type { BalanceLine, Certificate } from './document.ts'
import type { IssuedCertificate } from './issue.ts'
import { growthProof, ledgerProof } from './ledger-proofs.ts'
import { handVerification } from './readme.ts'
import { sealPackage, sha256Hex } from './seal.ts'

export const CERTIFICATE_FILE = 'certificate.json'

/** Makes the pages of a certificate; `sha256` is that of certificate.json. */
export type PrintCertificate = (certificate: Certificate, sha256: string) => Promise<ReadonlyMap<string, Uint8Array>>

/** By name, with seal and sums. @throws repository-damaged, store-… */
export async function packageCertificate(
  repository: Repository,
  issued: IssuedCertificate,
  print: PrintCertificate,
): Promise<Map<string, Uint8Array>> {
  const { certificate } = issued
  const json = canonicalBytes(certificate)
  const files = new Map<string, Uint8Array>([
    [CERTIFICATE_FILE, json],
    ['tables.csv', Buffer.from(balanceCsv(certificate.balance))],
    ...(await proofFiles(repository, issued)),
    ...(await print(certificate, sha256Hex(json))),
    ['README_验证说明.md', Buffer.from(handVerification(certificate, sha256Hex(json)))],
    ['verify.mjs', await verifier()],
  ])
  const { number, tablesRoot } = certificate
  return await sealPackage(repository, files, { kind: 'chartkeep certificate seal', number, tablesRoot })
}

/** What shows where baseline and end stand in the ledger: nothing of a patient is in it. */
async function proofFiles(
  repository: Repository,
  { certificate, baseline, end, checkpoint }: IssuedCertificate,
): Promise<(readonly [string, Uint8Array])[]> {
  const ledger = await repository.ledger.read()
  const { size } = certificate.ledger
  const proof = ({ manifest, sha256 }: ReadManifest) =>
    canonicalBytes(ledgerProof(ledger, manifest.snapshotId, sha256, size))
  return [
    ['checkpoints/ledger.txt', Buffer.from(checkpoint)],
    ['proofs/ledger-baseline.json', proof(baseline)],
    ['proofs/ledger-end.json', proof(end)],
    ['proofs/ledger-growth.json', canonicalBytes(growthProof(ledger, certificate.baseline.ledgerIndex + 1, size))],
    ['proofs/manifest-baseline.json', await signedManifest(repository, baseline)],
    ['proofs/manifest-end.json', await signedManifest(repository, end)],
  ]
}

/** As the repository keeps it: canonical JSON of manifest and signature. */
async function signedManifest(repository: Repository, { manifest }: ReadManifest): Promise<Uint8Array> {
  return await repository.sealed.read(manifestKey(manifest.snapshotId), OBJECT_TYPES.manifest)
}

/** One file, run by whatever Node the auditor has. */
export async function verifier(): Promise<Uint8Array> {
  return await readFile(new URL('./verify/verify.mjs', import.meta.url))
}

const CSV_COLUMNS = [
  'category',
  'table',
  'month',
  'baseline',
  'inserted',
  'updated',
  'updatedUnexplained',
  'deleted',
  'deletedUnexplained',
  'movedIn',
  'movedOut',
  'now',
  'afterClosing',
  'afterClosingUnexplained',
] as const satisfies readonly (keyof BalanceLine)[]

/** RFC 4180, one line for each line of the balance. */
function balanceCsv(balance: readonly BalanceLine[]): string {
  const quoted = (value: string | number) => {
    const text = String(value)
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
  }
  const lines = balance.map((line) => CSV_COLUMNS.map((column) => quoted(line[column])).join(','))
  return `${[CSV_COLUMNS.join(','), ...lines].join('\r\n')}\r\n`
}
