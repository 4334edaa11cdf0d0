/**
 * What somebody plants, and what clocks do (F26, F28): forged manifests by whoever holds the keys to write, a signer
 * revoked before and after, two agents of one name, an older ledger put back, clocks that are an hour wrong.
 */
import { randomBytes } from 'node:crypto'
import { beforeEach, describe, expect, test } from 'vitest'
import { Failure } from '../../src/errors.ts'
import { canonicalBytes } from '../../src/repository/canonical-json.ts'
import { generateSigningKey } from '../../src/repository/crypto/signing.ts'
import { manifestKey, timedId, timedIdAfter } from '../../src/repository/layout.ts'
import { openCheckpoint } from '../../src/repository/ledger/checkpoint.ts'
import { requireConsistent, verifyAgainst } from '../../src/repository/ledger/log.ts'
import type { Manifest } from '../../src/repository/manifest.ts'
import type { Repository } from '../../src/repository/repository.ts'
import { openRepository } from '../../src/repository/repository-lifecycle.ts'
import { OBJECT_TYPES } from '../../src/repository/sealed-object.ts'
import { agentKey, createSigner, revokeSigner, signAs } from '../../src/repository/signers.ts'
import { resolveTarget } from '../../src/repository/state/target.ts'
import { MemoryStore } from '../support/memory-store.ts'
import { complaint, loadPatterns, type Patterns } from '../support/mutations.ts'

const NEWER = '20270101T000000Z-ffffffff'
const PURPOSE = 'chartkeep manifest v1'
const REVOKED_AT = '2026-02-01T00:00:00.000Z'

let patterns: Patterns
let store: MemoryStore
let repository: Repository
let newest: Manifest

beforeEach(async () => {
  patterns ??= await loadPatterns()
  store = new MemoryStore()
  for (const [name, bytes] of patterns.golden) store.objects.set(name, bytes)
  repository = await reopened()
  newest = (await repository.readManifest((await repository.snapshotIds()).at(-1)!)).manifest
})

async function reopened(): Promise<Repository> {
  return await openRepository(store, { url: store.url }, patterns.secrets.keyFile)
}

async function plant(sealedPlain: unknown): Promise<void> {
  await repository.sealed.write(manifestKey(NEWER), OBJECT_TYPES.manifest, canonicalBytes(sealedPlain))
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => 'nothing was thrown',
    (error) => (error instanceof Failure ? error.code : `${error}`),
  )
}

/** What today's code says of the planted snapshot when it is to be read, and scrub of the whole. */
async function verdicts(): Promise<{ read: string; latest: string; isScrubSilent: boolean }> {
  const fresh = await reopened()
  return {
    read: await codeOf(fresh.readManifest(NEWER)),
    latest: await codeOf(resolveTarget({ repository: fresh, sourceName: 'icu', at: 'latest' })),
    isScrubSilent: (await complaint(patterns, store.objects)) === null,
  }
}

async function revokeAgent(ledgerSize: number): Promise<void> {
  const { signerId } = agentKey(await repository.signers())
  const dates = { from: REVOKED_AT, revokedAt: REVOKED_AT }
  await revokeSigner(repository.sealed, { signerId, ledgerSize, reason: 'stolen', ...dates })
}

describe('a newer manifest that was planted is neither read nor taken for the latest (F26):', () => {
  test('unsigned', async () => {
    await plant({ manifest: { ...newest, snapshotId: NEWER } })

    expect(await verdicts()).toEqual({ read: 'repository-damaged', latest: 'repository-damaged', isScrubSilent: false })
  })

  test('signed by a key that the repository does not know', async () => {
    const manifest = { ...newest, snapshotId: NEWER }
    const stranger = { signerId: timedId(0, randomBytes(4)), key: generateSigningKey() }
    await plant({ manifest, signature: signAs(stranger, PURPOSE, canonicalBytes(manifest)) })

    expect(await verdicts()).toEqual({ read: 'signature-refused', latest: 'signature-refused', isScrubSilent: false })
  })

  test('signed by a stranger in the name of an agent', async () => {
    const manifest = { ...newest, snapshotId: NEWER }
    const { signerId } = agentKey(await repository.signers())
    await plant({
      manifest,
      signature: signAs({ signerId, key: generateSigningKey() }, PURPOSE, canonicalBytes(manifest)),
    })

    expect(await verdicts()).toEqual({ read: 'signature-refused', latest: 'signature-refused', isScrubSilent: false })
  })

  test('signed by a person, who may approve and no more', async () => {
    const manifest = { ...newest, snapshotId: NEWER }
    const wanted = {
      signerId: timedId(1, randomBytes(4)),
      name: '李',
      role: 'approver',
      createdAt: REVOKED_AT,
    } as const
    const { signer, key } = await createSigner(repository.sealed, wanted)
    await plant({ manifest, signature: signAs({ signerId: signer.signerId, key }, PURPOSE, canonicalBytes(manifest)) })

    expect(await verdicts()).toEqual({ read: 'signature-refused', latest: 'signature-refused', isScrubSilent: false })
  })

  test('signed by an agent for another purpose', async () => {
    const manifest = { ...newest, snapshotId: NEWER }
    const agent = agentKey(await repository.signers())
    await plant({ manifest, signature: signAs(agent, 'chartkeep approval v1', canonicalBytes(manifest)) })

    expect(await verdicts()).toEqual({ read: 'signature-refused', latest: 'signature-refused', isScrubSilent: false })
  })

  test('signed by an agent whose key had been revoked', async () => {
    const agent = agentKey(await repository.signers())
    await revokeAgent(2)
    const manifest = { ...newest, snapshotId: NEWER }
    await plant({ manifest, signature: signAs(agent, PURPOSE, canonicalBytes(manifest)) })

    expect(await verdicts()).toEqual({ read: 'signature-refused', latest: 'signature-refused', isScrubSilent: false })
  })

  test('of another repository', async () => {
    const manifest = { ...newest, snapshotId: NEWER, repositoryId: 'f'.repeat(32) }
    const agent = agentKey(await repository.signers())
    await plant({ manifest, signature: signAs(agent, PURPOSE, canonicalBytes(manifest)) })

    expect(await verdicts()).toEqual({ read: 'repository-damaged', latest: 'repository-damaged', isScrubSilent: false })
  })

  test('an old one, copied under a newer name', async () => {
    store.objects.set(manifestKey(NEWER), patterns.golden.get(manifestKey((await repository.snapshotIds())[0]!))!)

    expect(await verdicts()).toEqual({ read: 'repository-damaged', latest: 'repository-damaged', isScrubSilent: false })
  })

  test('signed by the agent itself, and not in the ledger, is complained of', async () => {
    await repository.writeManifest({ ...newest, snapshotId: NEWER })

    expect(await complaint(patterns, store.objects)).toContain(NEWER)
  })
})

describe('a signer', () => {
  test('who was revoked leaves valid what the ledger held before, and nothing later', async () => {
    await revokeAgent(1)
    const fresh = await reopened()
    const [first, second] = await fresh.snapshotIds()

    expect((await fresh.readManifest(first!)).signer.revocation?.reason).toBe('stolen')
    expect(await codeOf(fresh.readManifest(second!))).toBe('signature-refused')
  })

  test('who was revoked signs no more, and another agent of that name can follow', async () => {
    await revokeAgent(2)
    const fresh = await reopened()
    expect(await codeOf(fresh.writeManifest({ ...newest, snapshotId: NEWER }))).toBe('signature-refused')

    const wanted = {
      signerId: timedId(2, randomBytes(4)),
      name: 'agent',
      role: 'agent',
      createdAt: REVOKED_AT,
    } as const
    await createSigner(fresh.sealed, wanted)
    fresh.forgetSigners()

    expect(await codeOf(fresh.writeManifest({ ...newest, snapshotId: NEWER }))).toBe('nothing was thrown')
  })

  test('of a name that another has is refused', async () => {
    const wanted = {
      signerId: timedId(3, randomBytes(4)),
      name: 'agent',
      role: 'agent',
      createdAt: REVOKED_AT,
    } as const

    expect(await codeOf(createSigner(repository.sealed, wanted))).toBe('bad-usage')
  })

  test('or a revocation that stands under the name of another is refused', async () => {
    const { signerId } = agentKey(await repository.signers())
    const lie = { signerId, ledgerSize: 0, from: REVOKED_AT, revokedAt: REVOKED_AT, reason: '' }
    await repository.sealed.write('revocations/20260101T000000Z-00000001', OBJECT_TYPES.revocation, canonicalBytes(lie))

    expect(await codeOf((await reopened()).signers())).toBe('repository-damaged')
  })
})

describe('the ledger', () => {
  test('an older one put back is noticed by whoever holds a later checkpoint', async () => {
    const note = (await repository.ledger.checkpoint('2026-02-01T00:00:00Z')).note
    const kept = openCheckpoint(note, [repository.ledger.verifierKey], repository.ledger.origin)
    for (const name of ['ledger/entries/0000000001', 'ledger/heads/0000000002', 'ledger/checkpoints/0000000002']) {
      await store.delete(name)
    }
    const { ledger } = await reopened()

    const verdict = verifyAgainst(await ledger.read(), kept)

    expect(verdict).toMatchObject({ kind: 'rolled-back', size: 1, checkpointSize: 2 })
    expect(() => requireConsistent(ledger.origin, verdict)).toThrow(/has 1 entries, and a checkpoint of it has 2/)
  })

  test('one that went on differently from a point is noticed by whoever holds a checkpoint behind it', async () => {
    const note = (await repository.ledger.checkpoint('2026-02-01T00:00:00Z')).note
    const kept = openCheckpoint(note, [repository.ledger.verifierKey], repository.ledger.origin)
    for (const name of ['ledger/entries/0000000001', 'ledger/heads/0000000002', 'ledger/checkpoints/0000000002']) {
      await store.delete(name)
    }
    const { ledger } = await reopened()
    await ledger.append({ snapshot: newest.snapshotId, manifest: 'a'.repeat(64), time: '2026-01-03T03:04:05Z' })

    expect(verifyAgainst(await ledger.read(), kept)).toMatchObject({ kind: 'rewritten', checkpointSize: 2 })
    expect(await complaint(patterns, store.objects)).not.toBeNull()
  })
})

describe('a clock that is an hour wrong (F28)', () => {
  const HOUR_MS = 3600 * 1000
  const noon = Date.UTC(2026, 2, 1, 12)

  test('set back, still gives a snapshot an id behind the newest one', () => {
    const first = timedIdAfter(null, noon, randomBytes(4))
    const second = timedIdAfter(first, noon - HOUR_MS, Buffer.alloc(4))
    const third = timedIdAfter(second, noon - HOUR_MS, Buffer.alloc(4))

    expect([third, second, first].sort()).toEqual([first, second, third])
  })

  test('that stands still gives ids in the order of making, within one second and over the end of a year', () => {
    const last = Date.UTC(2026, 11, 31, 23, 59, 59)
    const ids = [timedIdAfter(null, last, Buffer.alloc(4, 0xff))]
    for (let count = 0; count < 5; count += 1) ids.push(timedIdAfter(ids.at(-1)!, last, Buffer.alloc(4)))

    expect(ids.toSorted()).toEqual(ids)
    expect(ids[1]).toBe('20270101T000000Z-00000000')
  })

  test('that is right again after having run ahead leaves the order as it was', () => {
    const ahead = timedIdAfter(null, noon + HOUR_MS, randomBytes(4))

    expect(timedIdAfter(ahead, noon, randomBytes(4)) > ahead).toBe(true)
    expect(timedIdAfter(ahead, noon + 2 * HOUR_MS, Buffer.alloc(4))).toBe('20260301T140000Z-00000000')
  })
})
