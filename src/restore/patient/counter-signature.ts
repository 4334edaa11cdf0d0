/**
 * The yes that an emergency did without, given afterwards: by the key of a person who neither asked for it nor carried
 * it out, over the digest of the plan that was carried out. Until then it is listed as open.
 */

import { Failure } from '../../errors.ts'
import { canonicalBytes } from '../../repository/canonical-json.ts'
import { approvalKey, approvalPrefix, CHANGESET_PREFIX } from '../../repository/layout.ts'
import type { Repository } from '../../repository/repository.ts'
import { OBJECT_TYPES } from '../../repository/sealed-object.ts'
import { type Approval, type ApproveRequest, isSamePerson, readApproval, signApproval } from './approval.ts'
import { type Changeset, readChangeset, readOutcome } from './changeset.ts'

const EMERGENCY = 'emergency: '

export interface OpenEmergency {
  readonly changesetId: string
  readonly planId: string
  readonly sourceName: string
  readonly executor: string
  readonly startedAt: string
  readonly reason: string
}

export interface CounterSignRequest extends Pick<ApproveRequest, 'repository' | 'signer' | 'nowMs'> {
  readonly changesetId: string
}

/** Durable on return. @throws bad-usage, plan-refused, signature-refused; object-exists when this key signed it before */
export async function counterSign({ repository, changesetId, signer, nowMs }: CounterSignRequest): Promise<Approval> {
  const changeset = await readChangeset(repository, changesetId)
  if (!isEmergency(changeset)) throw refused(changeset, `went ahead ${changeset.authorisation}: nothing is open`)
  const { planId, planSha256 } = changeset
  const approval = { planId, planSha256, signerId: signer.signerId, approvedAt: new Date(nowMs).toISOString() }
  const { signature, known } = await signApproval(repository, signer, approval)
  if (known.revocation) throw refused(changeset, `cannot be signed by key ${known.signerId}, which was revoked`)
  if (isSamePerson(known.name, people(changeset))) {
    throw refused(changeset, `was asked for or carried out by ${known.name}, who cannot sign for it as well`)
  }
  const name = approvalKey(planId, signer.signerId)
  await repository.sealed.write(name, OBJECT_TYPES.approval, canonicalBytes({ approval, signature }))
  return approval
}

/** Emergencies that nobody else has signed for, oldest first. @throws repository-damaged, signature-refused, store-… */
export async function openEmergencies(repository: Repository): Promise<OpenEmergency[]> {
  const open: OpenEmergency[] = []
  for (const name of (await repository.sealed.names(CHANGESET_PREFIX)).sort()) {
    const changeset = await readChangeset(repository, name.slice(CHANGESET_PREFIX.length))
    // Without an outcome it may have written nothing: `check` names those.
    if (!isEmergency(changeset) || (await readOutcome(repository, changeset.changesetId)) === null) continue
    if (await isSignedFor(repository, changeset)) continue
    const { changesetId, planId, sourceName, executor, startedAt, authorisation } = changeset
    open.push({ changesetId, planId, sourceName, executor, startedAt, reason: authorisation.slice(EMERGENCY.length) })
  }
  return open
}

async function isSignedFor(repository: Repository, changeset: Changeset): Promise<boolean> {
  const signers = await repository.signers()
  for (const name of await repository.sealed.names(approvalPrefix(changeset.planId))) {
    const approval = await readApproval(repository, name)
    const signer = signers.find(({ signerId }) => signerId === approval.signerId)
    const isFor = approval.planSha256 === changeset.planSha256
    if (isFor && signer && !signer.revocation && !isSamePerson(signer.name, people(changeset))) return true
  }
  return false
}

function isEmergency({ authorisation }: Changeset): boolean {
  return authorisation.startsWith(EMERGENCY)
}

function people({ requester, executor }: Changeset): string[] {
  return [requester, executor]
}

function refused({ changesetId }: Changeset, why: string): Failure {
  return new Failure('plan-refused', `changeset ${changesetId} ${why}`, {
    context: { changeset: changesetId },
    hints: ['`chartkeep status` lists emergencies that are open; let another person sign for them.'],
  })
}
