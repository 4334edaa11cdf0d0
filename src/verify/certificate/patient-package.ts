/**
 * The files of one patient's proof: that patient's rows, and of the certificate what holds for everybody. Nothing that names
 * or counts others goes with it: not certificate.json, whose exceptions have pseudonyms.
 */

import { Failure } from '../../errors.ts'
import { canonicalBytes, parseCanonical } from '../../repository/canonical-json.ts'
import type { Repository } from '../../repository/repository.ts'
import type { Certificate } from './document.ts'
import { CERTIFICATE_FILE, verifier } from './package.ts'
import { type PatientProof, provePatient } from './patient-proof.ts'
import { type PackageFiles, SEAL_FILE, sealPackage, sha256Hex } from './seal.ts'

const TAKEN_OVER = ['checkpoints/ledger.txt', 'proofs/ledger-end.json', 'proofs/manifest-end.json'] as const

/**
 * @param certified the files of the certificate, verified
 * @throws bad-usage when it is no certificate of this repository, or the patient is not in it; repository-damaged, store-…
 */
export async function packagePatient(
  repository: Repository,
  certified: PackageFiles,
  patient: { readonly key: Buffer; readonly pseudonym: string },
): Promise<{ readonly proof: PatientProof; readonly files: Map<string, Uint8Array> }> {
  const json = fileOf(certified, CERTIFICATE_FILE)
  const certificate = parseCanonical(json, CERTIFICATE_FILE) as unknown as Certificate
  const { end, ledger, signers, tablesRoot, number } = certificate
  const { manifest, sha256 } = await repository.readManifest(end.snapshotId)
  if (sha256 !== end.manifestSha256) {
    throw new Failure('bad-usage', `certificate ${number} is not of this repository's snapshot ${end.snapshotId}`, {
      hints: ['Give the directory of a certificate that this repository issued, with --certificate DIR.'],
    })
  }
  const { proof, files } = await provePatient(repository, manifest, certificate, patient)
  const facts = { ledger, end, signers, tablesRoot, certificateSha256: sha256Hex(json) }
  const all = new Map<string, Uint8Array>([
    ...files,
    ...TAKEN_OVER.map((name) => [name, fileOf(certified, name)] as const),
    ['certificate-seal.json', fileOf(certified, SEAL_FILE)],
    ['proofs/end.json', canonicalBytes(facts)],
    ['verify.mjs', await verifier()],
  ])
  const kind = 'chartkeep patient proof seal'
  return { proof, files: await sealPackage(repository, all, { kind, number, tablesRoot }) }
}

function fileOf(files: PackageFiles, name: string): Uint8Array {
  const bytes = files.get(name)
  if (bytes) return bytes
  throw new Failure('bad-usage', `there is no ${name}: this is not the directory of a certificate`, {
    hints: ['Issue one with `chartkeep certificate issue --out DIR`.'],
  })
}
