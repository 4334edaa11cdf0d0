/** Checkpoints: the body of C2SP tlog-checkpoint, and who must have signed one. */
import { generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Failure } from '../../../src/errors.ts'
import {
  type Checkpoint,
  checkpointTime,
  formatCheckpoint,
  isTime,
  makeCheckpoint,
  openCheckpoint,
  parseCheckpoint,
  signCheckpoint,
} from '../../../src/repository/ledger/checkpoint.ts'
import { verifierKeyOf } from '../../../src/repository/ledger/signed-note.ts'
import { readVectors } from './make-vectors.ts'

const body = readVectors<{ specificationCheckpointBody: string }>('notes.json').specificationCheckpointBody
const origin = 'chartkeep/9f2c6a41d07b'
const checkpoint = makeCheckpoint({ origin, size: 3, root: new Uint8Array(32).fill(7), time: '2026-03-01T10:15:00Z' })

function newSigner(name: string) {
  return { name, privateKey: generateKeyPairSync('ed25519').privateKey }
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

describe('checkpoint body', () => {
  it('of the specification is read and written back byte for byte', () => {
    const parsed = parseCheckpoint(body)

    expect(parsed).toMatchObject({ origin: 'example.com/behind-the-sofa', size: 20852163, extensions: [] })
    expect(formatCheckpoint(parsed)).toBe(body)
    expect(checkpointTime(parsed)).toBeNull()
  })

  it('keeps every size, root and extension line', () => {
    const line = fc.string({ minLength: 1, unit: 'grapheme' }).filter((text) => !text.includes('\n'))
    fc.assert(
      fc.property(
        line,
        fc.maxSafeNat(),
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.array(line),
        (o, size, root, more) => {
          const written: Checkpoint = { origin: o, size, root, extensions: more }
          expect(parseCheckpoint(formatCheckpoint(written))).toEqual(written)
        },
      ),
    )
  })

  it('is refused when malformed', () => {
    const root = 'CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I='
    const malformed = [
      '',
      '\n\n\n',
      `a\n1\n${root}`,
      `a\n1\n`,
      `\n1\n${root}\n`,
      `a\n01\n${root}\n`,
      `a\n-1\n${root}\n`,
      `a\n+1\n${root}\n`,
      `a\n1.0\n${root}\n`,
      `a\n1e3\n${root}\n`,
      `a\n 1\n${root}\n`,
      `a\n0x10\n${root}\n`,
      `a\n１\n${root}\n`,
      `a\n\n${root}\n`,
      `a\n9007199254740992\n${root}\n`,
      `a\n99999999999999999999999\n${root}\n`,
      `a\n1\n${root.slice(0, -1)}\n`,
      `a\n1\n${root}=\n`,
      `a\n1\n${root.replace('I=', 'J=')}\n`,
      `a\n1\n${root.replace('/', '_')}\n`,
      `a\n1\n${root.slice(4)}\n`,
      `a\n1\nAAAA${root}\n`,
      `a\n1\n${root}\n\n`,
      `a\n1\n${root}\n\next\n`,
      `a\n1\n${root}\next`,
    ]
    for (const text of malformed)
      expect([text, codeOf(() => parseCheckpoint(text))]).toEqual([text, 'signature-refused'])
  })

  it('is a defect to write when it could not be read back as it is', () => {
    const bad: readonly Partial<Checkpoint>[] = [
      { origin: '' },
      { origin: `a\n5\n${Buffer.alloc(32).toString('base64')}` },
      { size: -1 },
      { size: 1.5 },
      { size: 2 ** 53 },
      { size: Number.NaN },
      { root: new Uint8Array(31) },
      { extensions: [''] },
      { extensions: ['a\nb'] },
    ]
    for (const change of bad) expect(codeOf(() => formatCheckpoint({ ...checkpoint, ...change }))).toBe('defect')
  })

  it('says its time only when it says it once and it exists', () => {
    expect(checkpointTime(checkpoint)).toBe('2026-03-01T10:15:00Z')
    const twice = ['time 2026-03-01T10:15:00Z', 'time 2026-03-01T10:15:01Z']
    for (const extensions of [
      [],
      twice,
      ['time 2026-02-30T00:00:00Z'],
      ['time tomorrow'],
      ['Time 2026-03-01T10:15:00Z'],
    ]) {
      expect(checkpointTime({ ...checkpoint, extensions })).toBeNull()
    }
    expect(['2026-03-01T24:00:00Z', '2026-03-01T10:15:60Z', '2026-03-01T10:15:00+00:00', ''].map(isTime)).toEqual([
      false,
      false,
      false,
      false,
    ])
  })
})

describe('signed checkpoint', () => {
  const ledger = newSigner(origin)
  const witness = newSigner('witness.example/w1')
  const keys = [ledger, witness].map(({ name, privateKey }) => verifierKeyOf(name, privateKey))

  it('opens for whoever knows the ledger’s key', () => {
    const opened = openCheckpoint(signCheckpoint(checkpoint, [witness, ledger]), keys, origin)

    expect(opened).toMatchObject({ origin, size: 3, root: checkpoint.root })
    expect(opened.signedBy.map((key) => key.name)).toEqual([witness.name, origin])
  })

  it('is refused when a witness alone signed it, or it is of another ledger, or its text is none', () => {
    const byWitness = signCheckpoint(checkpoint, [witness])
    const ofOther = signCheckpoint({ ...checkpoint, origin: 'chartkeep/other' }, [ledger])

    expect(() => openCheckpoint(byWitness, keys, origin)).toThrow(`and not by ${origin} itself`)
    expect(() => openCheckpoint(ofOther, keys, origin)).toThrow(`of ledger chartkeep/other, wanted ${origin}`)
    expect(codeOf(() => openCheckpoint(byWitness, keys, origin))).toBe('signature-refused')
    expect(codeOf(() => openCheckpoint(ofOther, keys, origin))).toBe('signature-refused')
    expect(codeOf(() => openCheckpoint(`${formatCheckpoint(checkpoint)}\n`, keys, origin))).toBe('signature-refused')
  })
})
