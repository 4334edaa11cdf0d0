import { z } from '@hono/zod-openapi'
import { Failure } from '../../errors.ts'
import { approvalMessage, approvalOf, isSamePerson, keepApproval } from '../../restore/patient/approval.ts'
import { subjectsOf } from '../../restore/patient/plan-document.ts'
import type { Caller } from '../authentication.ts'
import type { ApiDependencies } from '../dependencies.ts'
import { define, defineRaw, type Routes } from '../route.ts'
import { planParam, timedIdSchema } from '../schemas.ts'
import { planSchema } from './plan-schemas.ts'
import { freshPlan, refuseOtherDigest, shownPlan } from './plans.ts'

const TAG = 'plans'
const APPROVER = ['approver'] as const
/** What was signed longer ago, or ahead of our clock, was signed for something else. */
const SIGNED_WITHIN_MS = 15 * 60_000

const approvalBody = z.strictObject({
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** Of the approver, as `chartkeep key list` has it. */
  signerId: timedIdSchema,
  /** As in the message that was signed. */
  approvedAt: z.iso.datetime({ precision: 3 }),
  /** Ed25519 over the bytes of the message, base64. */
  signature: z.string().regex(/^[A-Za-z0-9+/]{86}==$/),
})

/**
 * An approver signs the digest with a key of their own, wherever they keep it, and sends the signature: the server never
 * holds the key, and a stolen token alone approves nothing.
 *
 *     GET  …/approval-message?signer=…  >  message        (one line of purpose, one of canonical JSON: readable)
 *     openssl pkeyutl -sign -rawin -inkey chen.key -in message | base64 -w0
 *     POST …/approvals
 */
export function registerApprovals(routes: Routes, dependencies: ApiDependencies): void {
  const { repository, nowMs } = dependencies

  defineRaw(
    routes,
    {
      method: 'get',
      path: '/v1/plans/{plan}/approval-message',
      summary: 'the very bytes that an approver signs',
      tag: TAG,
      roles: APPROVER,
      params: planParam,
      query: z.object({ signer: timedIdSchema }),
      contentType: 'text/plain',
    },
    async ({ params, query }) => {
      const plan = await freshPlan(dependencies, params.plan)
      const message = approvalMessage(approvalOf(plan, query.signer, nowMs()))
      return new Response(Buffer.from(message), { headers: { 'Content-Type': 'text/plain; charset=utf-8' } })
    },
  )

  define(
    routes,
    {
      method: 'post',
      path: '/v1/plans/{plan}/approvals',
      summary: 'say yes to a plan, by a signature',
      tag: TAG,
      roles: APPROVER,
      params: planParam,
      body: approvalBody,
      result: planSchema,
      status: 201,
      once: true,
      writes: true,
    },
    async ({ params, body, caller }) => {
      const plan = await freshPlan(dependencies, params.plan)
      refuseOtherDigest(plan, body.sha256)
      refuseOtherTime(body.approvedAt, nowMs())
      await refuseOtherPerson(dependencies, caller, body.signerId)
      const approval = approvalOf(plan, body.signerId, Date.parse(body.approvedAt))
      const signature = { algorithm: 'Ed25519', signer: body.signerId, value: body.signature } as const
      const detail = `plan ${params.plan} by key ${body.signerId}`
      const deed = { actor: caller.actor, action: 'patient.approve', detail }
      await repository.audit.aroundEach(deed, subjectsOf(plan.document), nowMs, () =>
        keepApproval({ repository, plan, approval, signature, nowMs: nowMs() }),
      )
      return await shownPlan(dependencies, plan)
    },
  )
}

/** Whose token it is must be whose key it is. @throws signature-refused */
async function refuseOtherPerson({ repository }: ApiDependencies, { person }: Caller, signerId: string): Promise<void> {
  const signer = (await repository.signers()).find((known) => known.signerId === signerId)
  if (signer && isSamePerson(signer.name, [person])) return
  throw new Failure('signature-refused', `key ${signerId} is not a key of ${person}, whose token this is`, {
    hints: ['`chartkeep key list` shows whose keys there are.'],
  })
}

/** @throws bad-usage */
function refuseOtherTime(approvedAt: string, nowMs: number): void {
  if (Math.abs(nowMs - Date.parse(approvedAt)) <= SIGNED_WITHIN_MS) return
  throw new Failure('bad-usage', `the approval is of ${approvedAt}, and it is ${new Date(nowMs).toISOString()} here`, {
    hints: ['Ask for the message anew, and sign that.'],
  })
}
