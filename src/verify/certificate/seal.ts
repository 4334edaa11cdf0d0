/**
 * What holds a package together: the seal names every file by its SHA-256 and is signed by the repository's agent; beside
 * it, whoever else stands for the package countersigns the seal's bytes. SHA256SUMS says the same for people with no more
 * than `sha256sum`.
 *
 *     certificate.json ←──── names ──── certificate.zh.pdf, certificate.en.pdf
 *            ↑                                ↑
 *            └── seal.json: every file ───────┘ ←── signature of the agent ←── countersignatures
 */
import { createHash, type KeyObject } from 'node:crypto'
import { Failure } from '../../errors.ts'
import { canonicalBytes, parseCanonical } from '../../repository/canonical-json.ts'
import { rawPublicKey, SIGNATURE_ALGORITHM, signBytes } from '../../repository/crypto/signing.ts'
import type { Repository } from '../../repository/repository.ts'
import { agentKey, signAs } from '../../repository/signers.ts'
import type { SignerFacts } from './document.ts'

const SEAL_PURPOSE = 'chartkeep certificate v1'
const COUNTERSIGN_PURPOSE = 'chartkeep certificate countersignature v1'
export const SEAL_FILE = 'seal.json'
const SUMS_FILE = 'SHA256SUMS'
const COUNTERSIGNATURES = 'countersignatures/'

/** By name within the package; names hold nothing of a patient. */
export type PackageFiles = ReadonlyMap<string, Uint8Array>

export interface Seal {
  readonly format: 1
  readonly kind: 'chartkeep certificate seal' | 'chartkeep patient proof seal'
  /** Of the certificate, and the root of its tables. */
  readonly number: string
  readonly tablesRoot: string
  readonly agent: SignerFacts
  /** Name to SHA-256, hex: every file but the seal, the countersignatures and SHA256SUMS. */
  readonly files: Readonly<Record<string, string>>
}

/** With the seal and the sums. */
export async function sealPackage(
  repository: Repository,
  files: PackageFiles,
  { kind, number, tablesRoot }: Pick<Seal, 'kind' | 'number' | 'tablesRoot'>,
): Promise<Map<string, Uint8Array>> {
  const signers = await repository.signers()
  const agent = agentKey(signers)
  const { signerId, name, publicKey } = signers.find((signer) => signer.signerId === agent.signerId)!
  const digests = [...files].map(([file, bytes]) => [file, sha256Hex(bytes)] as const)
  const facts = { kind, number, tablesRoot, agent: { signerId, name, publicKey } }
  const seal: Seal = { format: 1, ...facts, files: Object.fromEntries(digests) }
  const signature = signAs(agent, SEAL_PURPOSE, canonicalBytes(seal))
  return withSums(new Map([...files, [SEAL_FILE, canonicalBytes({ seal, signature })]]))
}

/** SHA256SUMS as `sha256sum` writes and reads it, over all other files, by name. */
export function withSums(files: PackageFiles): Map<string, Uint8Array> {
  const named = [...files].filter(([name]) => name !== SUMS_FILE).sort(([a], [b]) => (a < b ? -1 : 1))
  const sums = named.map(([name, bytes]) => `${sha256Hex(bytes)}  ${name}\n`).join('')
  return new Map([...named, [SUMS_FILE, Buffer.from(sums)]])
}

export interface Countersigner {
  /** Who signs, as it is to be read. */
  readonly name: string
  readonly key: KeyObject
  readonly nowMs: number
}

/** The package with one more countersignature. @throws signature-refused when it has no seal; bad-usage for another kind of key */
export function countersign(files: PackageFiles, { name, key, nowMs }: Countersigner): Map<string, Uint8Array> {
  const sealed = files.get(SEAL_FILE)
  if (!sealed) throw new Failure('signature-refused', `there is no ${SEAL_FILE} to countersign`)
  parseCanonical(sealed, SEAL_FILE)
  if (key.asymmetricKeyType !== 'ed25519') {
    throw new Failure('bad-usage', `the key is of type ${key.asymmetricKeyType ?? 'unknown'}, and must be Ed25519`, {
      hints: ['Make one with `openssl genpkey -algorithm ed25519 -out hospital.pem`.'],
    })
  }
  const statement = {
    format: 1,
    name,
    publicKey: Buffer.from(rawPublicKey(key)).toString('base64'),
    sealSha256: sha256Hex(sealed),
    signedAt: new Date(nowMs).toISOString(),
  }
  const value = Buffer.from(signBytes(key, COUNTERSIGN_PURPOSE, canonicalBytes(statement))).toString('base64')
  const taken = [...files.keys()].filter((file) => file.startsWith(COUNTERSIGNATURES)).length
  const file = `${COUNTERSIGNATURES}${String(taken + 1).padStart(2, '0')}.json`
  const signature = { algorithm: SIGNATURE_ALGORITHM, value }
  return withSums(new Map([...files, [file, canonicalBytes({ statement, signature })]]))
}

export function sha256Hex(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
