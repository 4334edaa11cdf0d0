/**
 * Who said yes to a plan: a signature over the plan's digest, by the key of a person who is neither the one who asked
 * for it nor the one who carries it out. An emergency goes ahead without, on a reason that is kept, and leaves the
 * counter-signature open.
 */
import type { KeyObject } from 'node:crypto'
import { z } from 'zod'
import { Failure } from '../../errors.ts'
import { canonicalBytes, parseCanonical } from '../../repository/canonical-json.ts'
import { approvalKey, approvalPrefix } from '../../repository/layout.ts'
import type { Repository } from '../../repository/repository.ts'
import { OBJECT_TYPES } from '../../repository/sealed-object.ts'
import { type KnownSigner, type Signature, signAs, signatureSchema, verifySigned } from '../../repository/signers.ts'
import type { ReadPlan } from './plan-document.ts'

const REASON_CHARACTERS_MIN = 3
const APPROVAL_PURPOSE = 'chartkeep approval v1'

const approvalSchema = z.strictObject({
  planId: z.string(),
  /** Of the plan's canonical JSON: another plan is another digest. */
  planSha256: z.string(),
  signerId: z.string(),
  approvedAt: z.string(),
})
const signedSchema = z.strictObject({ approval: approvalSchema, signature: signatureSchema })

export type Approval = z.infer<typeof approvalSchema>

/** How a plan may go ahead. `one-person` is a configuration that says what it is. */
export type Authorisation =
  | { readonly kind: 'approved'; readonly by: string }
  | { readonly kind: 'emergency'; readonly reason: string }
  | { readonly kind: 'one-person' }

export interface ApproveRequest {
  readonly repository: Repository
  readonly plan: ReadPlan
  /** A private key whose public half the repository knows as an approver's. */
  readonly signer: { readonly signerId: string; readonly key: KeyObject }
  readonly nowMs: number
}

/** Durable on return. @throws plan-refused, signature-refused, object-exists when it was approved by this key before */
export async function approvePlan({ repository, plan, signer, nowMs }: ApproveRequest): Promise<Approval> {
  const approval = approvalOf(plan, signer.signerId, nowMs)
  const signature = signAs(signer, APPROVAL_PURPOSE, canonicalBytes(approval))
  await keepApproval({ repository, plan, approval, signature, nowMs })
  return approval
}

/** What an approver signs. */
export function approvalOf(plan: ReadPlan, signerId: string, nowMs: number): Approval {
  const { planId } = plan.document
  return { planId, planSha256: plan.sha256, signerId, approvedAt: new Date(nowMs).toISOString() }
}

/** The very bytes of it: one line that says what it is, then the approval. */
export function approvalMessage(approval: Approval): Uint8Array {
  return Buffer.concat([Buffer.from(`${APPROVAL_PURPOSE}\n`), canonicalBytes(approval)])
}

export interface SignedApproval {
  readonly repository: Repository
  readonly plan: ReadPlan
  readonly approval: Approval
  /** Made wherever the approver keeps the key. */
  readonly signature: Signature
  readonly nowMs: number
}

/**
 * Durable on return. @returns the approver
 * @throws plan-refused, signature-refused, object-exists when it was approved by this key before
 */
export async function keepApproval(signed: SignedApproval): Promise<KnownSigner> {
  const { repository, plan, approval, signature } = signed
  refuseExpired(plan, signed.nowMs)
  const isForIt = approval.planId === plan.document.planId && approval.planSha256 === plan.sha256
  if (!isForIt || approval.signerId !== signature.signer) {
    throw refusedPlan(plan, `has digest ${plan.sha256}, and the approval is for ${approval.planSha256}`, [
      'Look at the plan again, and approve what it is.',
    ])
  }
  const known = await verifyApproval(repository, approval, signature)
  refuseUnfit(known, plan, [plan.document.requester])
  const name = approvalKey(approval.planId, approval.signerId)
  await repository.sealed.write(name, OBJECT_TYPES.approval, canonicalBytes({ approval, signature }))
  return known
}

/** @returns whose it is, who may have been revoked. @throws signature-refused */
async function verifyApproval(repository: Repository, approval: Approval, signature: Signature): Promise<KnownSigner> {
  return verifySigned(await repository.signers(), {
    what: 'the approval',
    purpose: APPROVAL_PURPOSE,
    bytes: canonicalBytes(approval),
    signature,
    role: 'approver',
  })
}

/** @throws signature-refused when the key is no approver's */
export async function signApproval(
  repository: Repository,
  signer: ApproveRequest['signer'],
  approval: Approval,
): Promise<{ readonly signature: Signature; readonly known: KnownSigner }> {
  const signature = signAs(signer, APPROVAL_PURPOSE, canonicalBytes(approval))
  return { signature, known: await verifyApproval(repository, approval, signature) }
}

export interface AuthoriseQuestion {
  readonly repository: Repository
  readonly plan: ReadPlan
  /** The person who carries it out. */
  readonly executor: string
  readonly emergencyReason: string | null
  readonly onePerson: boolean
  readonly nowMs: number
}

/** By what right the plan may be applied. @throws plan-refused, signature-refused */
export async function authorise(question: AuthoriseQuestion): Promise<Authorisation> {
  const { repository, plan, executor, emergencyReason, onePerson } = question
  refuseExpired(plan, question.nowMs)
  const by = await approverOf(repository, plan, executor)
  if (by !== null) return { kind: 'approved', by }
  if (emergencyReason !== null && emergencyReason.trim().length < REASON_CHARACTERS_MIN) {
    throw refusedPlan(plan, 'goes ahead in an emergency for a reason only, and none was given', [
      'Give --emergency REASON.',
    ])
  }
  if (emergencyReason !== null) return { kind: 'emergency', reason: emergencyReason }
  if (onePerson) return { kind: 'one-person' }
  throw refusedPlan(plan, 'is not approved by another person than those who asked for it and apply it', [
    'Let an approver run `chartkeep approve FILE`; in an emergency give --emergency REASON.',
  ])
}

async function approverOf(repository: Repository, plan: ReadPlan, executor: string): Promise<string | null> {
  const approvals = await approvalsOf(repository, plan)
  return approvals.find(({ by }) => by !== null && !isSamePerson(by, [executor]))?.by ?? null
}

export interface GivenApproval {
  readonly approval: Approval
  /** Whose it is; null when it does not count: the key was revoked, or is of the person who asked for the plan. */
  readonly by: string | null
}

/** Of this very plan. @throws repository-damaged, signature-refused; store-… */
export async function approvalsOf(repository: Repository, plan: ReadPlan): Promise<GivenApproval[]> {
  const { planId, requester } = plan.document
  const signers = await repository.signers()
  const given: GivenApproval[] = []
  for (const name of await repository.sealed.names(approvalPrefix(planId))) {
    const approval = await readApproval(repository, name)
    if (approval.planSha256 !== plan.sha256 || approval.planId !== planId) continue
    const signer = signers.find(({ signerId }) => signerId === approval.signerId)
    const counts = signer && !signer.revocation && !isSamePerson(signer.name, [requester])
    given.push({ approval, by: counts ? signer.name : null })
  }
  return given
}

/** @throws repository-damaged, signature-refused: that a plan is no more there does not make its approval void */
export async function readApproval(repository: Repository, name: string): Promise<Approval> {
  const value = parseCanonical(await repository.sealed.read(name, OBJECT_TYPES.approval), name)
  const signed = signedSchema.safeParse(value)
  const fits = signed.success && approvalKey(signed.data.approval.planId, signed.data.approval.signerId) === name
  if (!fits || signed.data.signature.signer !== signed.data.approval.signerId) {
    throw new Failure('repository-damaged', `object ${name} is not an approval`, { context: { object: name } })
  }
  const { approval, signature } = signed.data
  const thing = {
    what: name,
    purpose: APPROVAL_PURPOSE,
    bytes: canonicalBytes(approval),
    signature,
    role: 'approver',
  } as const
  verifySigned(await repository.signers(), thing)
  return approval
}

function refuseUnfit(signer: KnownSigner, plan: ReadPlan, others: readonly string[]): void {
  if (signer.revocation) throw refusedPlan(plan, `cannot be approved by key ${signer.signerId}, which was revoked`, [])
  if (!isSamePerson(signer.name, others)) return
  throw refusedPlan(plan, `was asked for by ${signer.name}, who cannot approve it as well`, [
    'Let another person approve it.',
  ])
}

/** Whatever the spelling: case, width, accents, spaces and the order of names do not make another person. */
export function isSamePerson(name: string, others: readonly string[]): boolean {
  const words = plainWords(name)
  return others.some((other) => {
    const otherWords = plainWords(other)
    return words.join('') === otherWords.join('') || words.toSorted().join('') === otherWords.toSorted().join('')
  })
}

function plainWords(name: string): string[] {
  // Upper case first: of a sharp s there are two spellings.
  const letters = name.normalize('NFKD').toUpperCase().toLowerCase().normalize('NFKD')
  return letters.replace(/\p{M}|\p{Cf}/gu, '').split(/[^\p{L}\p{N}]+/u)
}

function refuseExpired(plan: ReadPlan, nowMs: number): void {
  const { expiresAt } = plan.document
  if (nowMs <= Date.parse(expiresAt)) return
  throw refusedPlan(plan, `ran out at ${expiresAt}`, ['Make a new plan, and look at it again.'])
}

export function refusedPlan({ document }: ReadPlan, why: string, hints: readonly string[]): Failure {
  return new Failure('plan-refused', `plan ${document.planId} ${why}`, { hints, context: { plan: document.planId } })
}
