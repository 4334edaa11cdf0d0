/** Emergencies stay open until a person who had no part in them signs. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createSigner, revokeSigner, type SignerRole } from '../../../src/repository/signers.ts'
import { type Changeset, writeChangeset, writeOutcome } from '../../../src/restore/patient/changeset.ts'
import { counterSign, openEmergencies } from '../../../src/restore/patient/counter-signature.ts'
import { makeRepository, type TestRepository } from '../../support/repository.ts'

const NOW_MS = Date.UTC(2026, 0, 3)
const AT = new Date(NOW_MS).toISOString()

describe('an emergency', () => {
  let made: TestRepository
  let count = 0

  beforeAll(async () => {
    made = await makeRepository()
  })
  afterAll(() => made?.[Symbol.asyncDispose]())

  async function emergency(more: Partial<Changeset> = {}, committed = true): Promise<string> {
    count += 1
    const changesetId = `plan-${count}.aabbccdd`
    await writeChangeset(made.repository, {
      changesetId,
      planId: `plan-${count}`,
      planSha256: `${count}`.repeat(64),
      sourceName: 'icu',
      patient: '4',
      kind: 'restore',
      requester: 'Wang Fang',
      executor: 'Zhao Min',
      authorisation: 'emergency: the ward waits',
      startedAt: AT,
      snapshotId: 's',
      transaction: { id: '1', engine: 'postgresql', systemId: '1', timeline: 1, databaseOid: '1' },
      tables: [],
      ...more,
    })
    const none = { inserted: 0, updated: 0, deleted: 0, triggered: {}, sideEffects: null }
    if (committed) await writeOutcome(made.repository, { changesetId, outcome: 'committed', endedAt: AT, ...none })
    return changesetId
  }

  async function keyOf(name: string, role: SignerRole = 'approver') {
    count += 1
    const signerId = `k${count}`
    const { key } = await createSigner(made.repository.sealed, { signerId, name, role, createdAt: AT })
    made.repository.forgetSigners()
    return { signerId, key }
  }

  async function sign(changesetId: string, signer: Awaited<ReturnType<typeof keyOf>>) {
    return await counterSign({ repository: made.repository, changesetId, signer, nowMs: NOW_MS })
  }

  async function isOpen(changesetId: string): Promise<boolean> {
    return (await openEmergencies(made.repository)).some((one) => one.changesetId === changesetId)
  }

  it('is closed by another person, once', async () => {
    const changesetId = await emergency()
    const other = await emergency()
    const chen = await keyOf('Dr. Chen')
    expect(await openEmergencies(made.repository)).toContainEqual({
      changesetId,
      planId: changesetId.split('.')[0],
      sourceName: 'icu',
      executor: 'Zhao Min',
      startedAt: AT,
      reason: 'the ward waits',
    })
    await sign(changesetId, chen)
    expect([await isOpen(changesetId), await isOpen(other)]).toEqual([false, true])
    await expect(sign(changesetId, chen)).rejects.toMatchObject({ code: 'object-exists' })
  })

  it.each(['wang  fang', 'ZHAO MIN'])('is not signed for by %s, who had a part in it', async (name) => {
    const changesetId = await emergency()
    await expect(sign(changesetId, await keyOf(name))).rejects.toMatchObject({ code: 'plan-refused' })
    expect(await isOpen(changesetId)).toBe(true)
  })

  it('is signed for by approvers only, and by no key that is not the one it says', async () => {
    const changesetId = await emergency()
    const auditor = await keyOf('Dr. Sun', 'auditor')
    await expect(sign(changesetId, auditor)).rejects.toMatchObject({ code: 'signature-refused' })
    const gao = await keyOf('Dr. Gao')
    const forged = { signerId: gao.signerId, key: auditor.key }
    await expect(sign(changesetId, forged)).rejects.toMatchObject({ code: 'signature-refused' })
    expect(await isOpen(changesetId)).toBe(true)
  })

  it('is open again when the key is revoked that signed for it, and not signed for by it anew', async () => {
    const [changesetId, later] = [await emergency(), await emergency()]
    const lin = await keyOf('Dr. Lin')
    await sign(changesetId, lin)
    const revocation = { signerId: lin.signerId, from: AT, ledgerSize: 0, reason: 'lost', revokedAt: AT }
    await revokeSigner(made.repository.sealed, revocation)
    made.repository.forgetSigners()
    expect(await isOpen(changesetId)).toBe(true)
    await expect(sign(later, lin)).rejects.toMatchObject({ code: 'plan-refused' })
    await sign(changesetId, await keyOf('Dr. Mei'))
    expect(await isOpen(changesetId)).toBe(false)
  })

  it('is nothing that was approved before, that one person may do, or of which nobody knows that it was written', async () => {
    const chen = await keyOf('Dr. Ma')
    for (const authorisation of ['approved by Li Wei', 'one person']) {
      const changesetId = await emergency({ authorisation })
      expect(await isOpen(changesetId)).toBe(false)
      await expect(sign(changesetId, chen)).rejects.toMatchObject({ code: 'plan-refused' })
    }
    expect(await isOpen(await emergency({}, false))).toBe(false)
    await expect(sign('none.such', chen)).rejects.toMatchObject({ code: 'bad-usage' })
  })
})
