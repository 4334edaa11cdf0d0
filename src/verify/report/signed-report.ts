/**
 * A report as it is kept: canonical JSON with the agent's signature beside it, sealed, under a name of its own; never
 * written anew. What is printed, and what an auditor is given, is that JSON.
 */
import { z } from 'zod'
import { Failure } from '../../errors.ts'
import { canonicalBytes, parseCanonical } from '../../repository/canonical-json.ts'
import { sha256 } from '../../repository/crypto/provider.ts'
import type { Repository } from '../../repository/repository.ts'
import {
  agentKey,
  type KnownSigner,
  type Signature,
  signAs,
  signatureSchema,
  verifySigned,
} from '../../repository/signers.ts'

export interface ReportKind<Report> {
  /** Of the signature: one kind of report never passes for another. */
  readonly purpose: string
  /** Ends in `/`. */
  readonly prefix: string
  readonly type: number
  readonly schema: z.ZodType<Report>
}

export interface SignedReport<Report> {
  readonly report: Report
  readonly signature: Signature
  /** Of the report's canonical JSON, hexadecimal. */
  readonly sha256: string
  readonly signer: KnownSigner
}

const signedSchema = z.strictObject({ report: z.unknown(), signature: signatureSchema })

/** Durable on return. @throws signature-refused when there is no agent to sign; object-exists, store-… */
export async function writeReport<Report extends { readonly id: string }>(
  repository: Repository,
  kind: ReportKind<Report>,
  report: Report,
): Promise<SignedReport<Report>> {
  const bytes = canonicalBytes(report)
  const signature = signAs(agentKey(await repository.signers()), kind.purpose, bytes)
  await repository.sealed.write(kind.prefix + report.id, kind.type, canonicalBytes({ report, signature }))
  return await readReport(repository, kind, report.id)
}

/** @throws object-missing, repository-damaged, signature-refused */
export async function readReport<Report extends { readonly id: string }>(
  repository: Repository,
  kind: ReportKind<Report>,
  id: string,
): Promise<SignedReport<Report>> {
  const name = kind.prefix + id
  const signed = signedSchema.safeParse(parseCanonical(await repository.sealed.read(name, kind.type), name))
  if (!signed.success) throw damaged(name)
  const { signature } = signed.data
  const bytes = canonicalBytes(signed.data.report)
  const thing = { what: name, purpose: kind.purpose, bytes, signature, role: 'agent' } as const
  const signer = verifySigned(await repository.signers(), thing)
  const parsed = kind.schema.safeParse(signed.data.report)
  if (!parsed.success || parsed.data.id !== id) throw damaged(name)
  return { report: parsed.data, signature, sha256: Buffer.from(sha256(bytes)).toString('hex'), signer }
}

/** Ids, oldest first. */
export async function reportIds<Report>(repository: Repository, { prefix }: ReportKind<Report>): Promise<string[]> {
  return (await repository.sealed.names(prefix)).map((name) => name.slice(prefix.length))
}

/** What is written to a file beside the PDF: the report, and who signed it with which key. */
export function reportFile<Report>({ report, signature, signer }: SignedReport<Report>): Uint8Array {
  const { signerId, name, algorithm, publicKey } = signer
  return canonicalBytes({ report, signature, signer: { signerId, name, algorithm, publicKey } })
}

function damaged(name: string): Failure {
  return new Failure('repository-damaged', `object ${name} is not a report`, { context: { object: name } })
}
