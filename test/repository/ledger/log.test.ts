/** The ledger against those who rewrite it: the holder of old checkpoints notices, and is told what he can know. */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Failure } from '../../../src/errors.ts'
import { canonicalBytes } from '../../../src/repository/canonical-json.ts'
import type { Checkpoint } from '../../../src/repository/ledger/checkpoint.ts'
import {
  appendEntry,
  checkpointOf,
  type Ledger,
  openLedger,
  requireConsistent,
  verifyAgainst,
  verifyGrowth,
} from '../../../src/repository/ledger/log.ts'
import { consistencyProof } from '../../../src/repository/ledger/proof.ts'
import { MTH } from './reference.ts'

const origin = 'chartkeep/9f2c6a41d07b'
const time = '2026-03-01T10:15:00Z'

function sha256(text: string | Uint8Array): string {
  return createHash('sha256').update(text).digest('hex')
}

/** A ledger of `count` snapshots; `world` makes another history of the same shape from entry `differsAt` on. */
function ledgerOf(count: number, world = 'a', differsAt = 0): Ledger {
  let ledger = openLedger(origin, [])
  for (let index = 0; index < count; index++) {
    const manifest = sha256(`${index < differsAt ? 'a' : world} ${index}`)
    ledger = appendEntry(ledger, { snapshot: `s-${index}`, manifest, time })
  }
  return ledger
}

function bytesOf(ledger: Ledger): Uint8Array[] {
  return ledger.entries.map((entry) => entry.bytes)
}

function leavesOf(ledger: Ledger): Uint8Array[] {
  return ledger.entries.map((entry) => entry.leafHash)
}

function codeOf(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    if (error instanceof Failure) return error.code
    throw error
  }
  return 'accepted'
}

/** A ledger that an attacker made from the start: every chain and root in it is right. */
const FULL = 24
const truth = ledgerOf(FULL)
const heads = Array.from({ length: FULL + 1 }, (_, size) =>
  checkpointOf({ ...truth, entries: truth.entries.slice(0, size) }, time),
)

describe('entries', () => {
  it('are canonical JSON, each naming the SHA-256 of the one before', () => {
    const [first, second] = bytesOf(truth)

    expect(Buffer.from(first!).toString()).toBe(
      `{"manifest":"${sha256('a 0')}","previous":null,"snapshot":"s-0","time":"${time}"}`,
    )
    expect(truth.entries[1]!.entry.previous).toBe(sha256(first!))
    expect(Buffer.from(second!).toString()).toContain(sha256(first!))
  })

  it('are the leaves of the Merkle tree whose root the checkpoint holds, byte for byte', () => {
    for (const [size, head] of heads.entries()) {
      expect(Buffer.from(head.root).toString('hex')).toBe(MTH(bytesOf(truth).slice(0, size)).toString('hex'))
    }
  })

  it('stored and opened again are the same ledger', () => {
    const opened = openLedger(origin, bytesOf(truth))

    expect(checkpointOf(opened, time)).toEqual(heads[FULL])
    expect(opened).toEqual(truth)
  })

  it('with any one bit flipped, left out, exchanged or doubled are refused, unless it is the last', () => {
    const stored = bytesOf(truth).slice(0, 4)
    for (const [index, bytes] of stored.slice(0, 3).entries()) {
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const changed = Uint8Array.from(bytes)
        changed[bit >> 3]! ^= 1 << (bit % 8)
        expect(codeOf(() => openLedger(origin, stored.with(index, changed)))).toBe('repository-damaged')
      }
      expect(codeOf(() => openLedger(origin, stored.toSpliced(index, 1)))).toBe('repository-damaged')
      expect(codeOf(() => openLedger(origin, stored.toSpliced(index, 0, bytes)))).toBe('repository-damaged')
      const exchanged = stored.with(index, stored[index + 1]!).with(index + 1, bytes)
      expect(codeOf(() => openLedger(origin, exchanged))).toBe('repository-damaged')
    }
  })

  it('of another form are refused', () => {
    const good = { manifest: sha256('m'), previous: null, snapshot: 's', time }
    const bad: readonly unknown[] = [
      null,
      [],
      'text',
      {},
      { ...good, extra: 1 },
      { ...good, manifest: good.manifest.toUpperCase() },
      { ...good, manifest: 5 },
      { ...good, previous: '' },
      { ...good, previous: 5 },
      { ...good, snapshot: '../s' },
      { ...good, snapshot: '' },
      { ...good, snapshot: 's'.repeat(101) },
      { ...good, time: '2026-03-01 10:15:00' },
      { ...good, time: ['a'] },
    ]
    for (const entry of bad)
      expect(codeOf(() => openLedger(origin, [canonicalBytes(entry)]))).toBe('repository-damaged')
    expect(codeOf(() => openLedger(origin, [new Uint8Array(5000).fill(0x20)]))).toBe('repository-damaged')
    expect(codeOf(() => openLedger(origin, [canonicalBytes(good)]))).toBe('accepted')
  })

  it('are appended once for each snapshot, and leave the ledger they were appended to unchanged', () => {
    const before = truth.entries.length

    expect(codeOf(() => appendEntry(truth, { snapshot: 's-7', manifest: sha256('x'), time }))).toBe('object-exists')
    expect(codeOf(() => appendEntry(truth, { snapshot: 'new', manifest: 'x', time }))).toBe('defect')
    expect(codeOf(() => appendEntry(truth, { snapshot: 'a b', manifest: sha256('x'), time }))).toBe('defect')
    expect(appendEntry(truth, { snapshot: 'new', manifest: sha256('x'), time }).entries.length).toBe(before + 1)
    expect(truth.entries.length).toBe(before)
  })
})

describe('the holder of checkpoints', () => {
  it('sees growth as consistent, from every earlier size', () => {
    for (const head of heads) {
      expect(verifyAgainst(truth, head)).toEqual({ kind: 'consistent', size: FULL, grewBy: FULL - head.size })
    }
    expect(verifyAgainst(truth, ...heads.toReversed())).toEqual({ kind: 'consistent', size: FULL, grewBy: 0 })
  })

  it('sees a shorter ledger as rolled back', () => {
    for (let size = 0; size < FULL; size++) {
      const shorter = { ...truth, entries: truth.entries.slice(0, size) }
      const kept = [heads[FULL]!, heads[Math.floor(size / 2)]!]
      expect(verifyAgainst(shorter, ...kept)).toEqual({
        kind: 'rolled-back',
        size,
        checkpointSize: FULL,
        trustedSize: Math.floor(size / 2),
      })
    }
  })

  it('sees every rewriting that began before his checkpoint, and between which of his checkpoints it began', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: FULL - 1 }),
        fc.integer({ min: 1, max: FULL + 5 }),
        fc.uniqueArray(fc.integer({ min: 0, max: FULL }), { minLength: 1, maxLength: 5 }),
        (differsAt, count, sizes) => {
          const forged = openLedger(origin, bytesOf(ledgerOf(count, 'b', differsAt)))
          const verdict = verifyAgainst(forged, ...sizes.map((size) => heads[size]!))

          // What an all-knowing judge would say: sizes up to where the histories differ hold, the next one does not.
          const sorted = sizes.toSorted((a, b) => a - b)
          const shared = Math.min(differsAt, count)
          const trustedSize = sorted.findLast((size) => size <= shared) ?? 0
          const checkpointSize = sorted.find((size) => size > shared)
          if (checkpointSize === undefined) {
            expect(verdict).toEqual({ kind: 'consistent', size: count, grewBy: count - trustedSize })
          } else {
            const kind = checkpointSize > count ? 'rolled-back' : 'rewritten'
            expect(verdict).toEqual({ kind, size: count, checkpointSize, trustedSize })
          }
        },
      ),
    )
  })

  it('learns nothing from checkpoints of other ledgers, and none from those of one size that contradict each other', () => {
    const foreign = { ...heads[5]!, origin: 'chartkeep/other' }
    const forged = checkpointOf(ledgerOf(7, 'b'), time)

    expect(verifyAgainst(truth, foreign).kind).toBe('unknown')
    expect(verifyAgainst(truth).kind).toBe('unknown')
    expect(verifyAgainst(truth, foreign, heads[3]!)).toEqual({ kind: 'consistent', size: FULL, grewBy: FULL - 3 })
    expect(verifyAgainst(truth, heads[3]!, heads[7]!, forged)).toEqual({
      kind: 'rewritten',
      size: FULL,
      checkpointSize: 7,
      trustedSize: 3,
    })
  })

  it('without the entries, is convinced by a proof, and by nothing else', () => {
    for (let first = 0; first <= FULL; first++) {
      for (let second = first; second <= FULL; second++) {
        const proof = consistencyProof(leavesOf(truth), first, second)
        expect(verifyGrowth(heads[first]!, heads[second]!, proof)).toEqual({
          kind: 'consistent',
          size: second,
          grewBy: second - first,
        })
      }
    }
    const forged = ledgerOf(FULL, 'b', 4)
    const newer: Checkpoint = checkpointOf(forged, time)
    expect(verifyGrowth(heads[9]!, newer, consistencyProof(leavesOf(forged), 9, FULL)).kind).toBe('unknown')
    expect(verifyGrowth(heads[9]!, heads[12]!, []).kind).toBe('unknown')
    expect(verifyGrowth(heads[9]!, heads[8]!, []).kind).toBe('rolled-back')
    expect(verifyGrowth(heads[FULL]!, newer, []).kind).toBe('rewritten')
    expect(verifyGrowth({ ...heads[9]!, origin: 'chartkeep/other' }, heads[9]!, []).kind).toBe('unknown')
  })

  it('is told in words, with both sizes', () => {
    const sizes = { size: 5, checkpointSize: 9, trustedSize: 3 }
    const failing = [
      [{ kind: 'rolled-back', ...sizes }, `ledger ${origin}: has 5 entries, and a checkpoint of it has 9`],
      [
        { kind: 'rewritten', ...sizes, size: 12 },
        `ledger ${origin}: at least one of entries [3, 9) is not what it was when the checkpoint of 9 was signed`,
      ],
      [{ kind: 'unknown', reason: 'because' }, `ledger ${origin}: continuity cannot be shown: because`],
    ] as const
    for (const [verdict, message] of failing) {
      expect(codeOf(() => requireConsistent(origin, verdict))).toBe('history-rewritten')
      expect(() => requireConsistent(origin, verdict)).toThrow(message)
    }
    expect(codeOf(() => requireConsistent(origin, { kind: 'consistent', size: 1, grewBy: 0 }))).toBe('accepted')
  })
})
