/**
 * Signed notes against the vectors of the Go implementation, and against everybody who has no key.
 */
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Failure } from '../../../src/errors.ts'
import {
  addSignature,
  formatVerifierKey,
  NOTE_SIGNATURES_MAX,
  openNote,
  parseVerifierKey,
  signNote,
  verifierKeyOf,
} from '../../../src/repository/ledger/signed-note.ts'
import { readVectors } from './make-vectors.ts'

interface NoteVectors {
  readonly keys: Readonly<Record<'peter' | 'enoch' | 'example' | 'plus', string>>
  readonly peterSeedHex: string
  readonly text: string
  readonly peterLine: string
  readonly enochLine: string
  readonly exampleNote: string
}

const vectors = readVectors<NoteVectors>('notes.json')
const peter = parseVerifierKey(vectors.keys.peter)
const enoch = parseVerifierKey(vectors.keys.enoch)
const { text, peterLine, enochLine } = vectors

function newKey(): KeyObject {
  return generateKeyPairSync('ed25519').privateKey
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

describe('verifier keys', () => {
  it('of other implementations are read and written back letter for letter', () => {
    for (const key of Object.values(vectors.keys)) expect(formatVerifierKey(parseVerifierKey(key))).toBe(key)
  })

  it('are refused when any character is changed, left out or doubled', () => {
    for (const key of Object.values(vectors.keys)) {
      const characters = Array.from(key)
      for (let at = 0; at < characters.length; at++) {
        const next = String.fromCharCode(characters[at]!.charCodeAt(0) + 1)
        for (const changed of [
          characters.with(at, next),
          characters.toSpliced(at, 1),
          characters.toSpliced(at, 0, characters[at]!),
        ]) {
          const mutant = changed.join('')
          if (mutant !== key) expect([mutant, codeOf(() => parseVerifierKey(mutant))]).toEqual([mutant, 'bad-usage'])
        }
      }
    }
  })

  it('of another length or another algorithm are refused even with a fitting id', () => {
    expect(
      codeOf(() => parseVerifierKey('PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==')),
    ).toBe('bad-usage')
    expect(codeOf(() => parseVerifierKey('PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW'))).toBe(
      'bad-usage',
    )
  })

  it('never crash the parser', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (noise) => codeOf(() => parseVerifierKey(noise)) === 'bad-usage'),
    )
    expect(codeOf(() => parseVerifierKey('+'.repeat(100_000)))).toBe('bad-usage')
  })
})

describe('signing', () => {
  it('gives the bytes that the Go implementation gives for the same key', () => {
    const seed = Buffer.from(vectors.peterSeedHex, 'hex')
    const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed])
    const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })

    expect(signNote(text, [{ name: 'PeterNeumann', privateKey }])).toBe(`${text}\n${peterLine}`)
    expect(addSignature(`${text}\n${enochLine}`, { name: 'PeterNeumann', privateKey })).toBe(
      `${text}\n${enochLine}${peterLine}`,
    )
    expect(formatVerifierKey(verifierKeyOf('PeterNeumann', privateKey))).toBe(vectors.keys.peter)
  })

  it('gives a note that opens, whatever the text, and with each of its signers alone', () => {
    const signers = ['a', '科室/二', 'c.example/x'].map((name) => ({ name, privateKey: newKey() }))
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: fc.constantFrom('a', '\n', '病', ' ', '\u2014', '😀', '\u0085') })),
        (parts) => {
          const written = `${parts.join('\n')}\n`
          const note = signNote(written, signers)
          for (const { name, privateKey } of signers) {
            const opened = openNote(Buffer.from(note), [verifierKeyOf(name, privateKey)])
            expect(opened.text).toBe(written)
            expect(opened.ignoredCount).toBe(2)
          }
        },
      ),
    )
  })

  it('is a defect for what cannot stand in a note', () => {
    const privateKey = newKey()
    for (const bad of ['', 'no newline', 'tab\there\n', 'nul\0\n', 'return\r\n', '\ud800\n']) {
      expect(codeOf(() => signNote(bad, [{ name: 'a', privateKey }]))).toBe('defect')
    }
    for (const name of ['', 'a b', 'a+b', 'a\u00a0b', 'a\u3000b', 'a\nb', 'a\u0000']) {
      expect(codeOf(() => signNote('text\n', [{ name, privateKey }]))).toBe('defect')
    }
    expect(codeOf(() => signNote('text\n', []))).toBe('defect')
    const { privateKey: rsa } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    expect(codeOf(() => signNote('text\n', [{ name: 'a', privateKey: rsa }]))).toBe('defect')
  })
})

describe('opening', () => {
  const both = `${text}\n${peterLine}${enochLine}`

  it('accepts the published notes and says who signed', () => {
    expect(openNote(both, [peter, enoch])).toEqual({ text, signedBy: [peter, enoch], ignoredCount: 0 })
    expect(openNote(both, [enoch])).toEqual({ text, signedBy: [enoch], ignoredCount: 1 })
    const example = parseVerifierKey(vectors.keys.example)
    expect(openNote(vectors.exampleNote, [peter, example]).signedBy).toEqual([example])
  })

  it('counts a key once, however often it signed', () => {
    expect(openNote(`${text}\n${peterLine}${peterLine}`, [peter]).signedBy).toEqual([peter])
  })

  it('refuses a note that no known key signed', () => {
    const stranger = verifierKeyOf('PeterNeumann', newKey())
    const sameIdOtherName = { ...peter, name: 'PeterNeumann2' }
    for (const keys of [[], [parseVerifierKey(vectors.keys.plus)], [stranger], [sameIdOtherName]]) {
      expect(codeOf(() => openNote(both, keys))).toBe('signature-refused')
    }
  })

  it('refuses a note when one known key’s signature fails, though another one holds', () => {
    const forged = peterLine.replace('x08go/ZJ', 'x08go/ZK')
    expect(codeOf(() => openNote(`${text}\n${forged}${enochLine}`, [peter, enoch]))).toBe('signature-refused')
    expect(codeOf(() => openNote(`${text}\n${forged}${enochLine}`, [enoch]))).toBe('accepted')
    expect(codeOf(() => openNote(`${text}\n${peterLine}${forged}`, [peter]))).toBe('signature-refused')
  })

  it('refuses a note of which any one bit was flipped, whichever byte it stood in', () => {
    const note = Buffer.from(`${text}\n${peterLine}`)
    let refused = 0
    for (let at = 0; at < note.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const changed = Uint8Array.from(note)
        changed[at]! ^= 1 << bit
        expect([at, bit, codeOf(() => openNote(changed, [peter]))]).toEqual([at, bit, 'signature-refused'])
        refused += 1
      }
    }
    expect(refused).toBeGreaterThan(1500)
  })

  it('refuses a signature whose S was raised by the group order, which means the same to a lax verifier', () => {
    const order = 2n ** 252n + 27742317777372353535851937790883648493n
    const blob = Buffer.from(peterLine.split(' ')[2]!, 'base64')
    const s = BigInt(`0x${Buffer.from(blob.subarray(36)).reverse().toString('hex')}`) + order
    const raised = Buffer.from(s.toString(16).padStart(64, '0'), 'hex').reverse()
    const line = `\u2014 PeterNeumann ${Buffer.concat([blob.subarray(0, 36), raised]).toString('base64')}\n`

    expect(codeOf(() => openNote(`${text}\n${line}`, [peter]))).toBe('signature-refused')
  })

  it('takes the text to reach to the last empty line: a signature block inside it signs nothing', () => {
    const privateKey = newKey()
    const evil = signNote(`forged\n\n${peterLine}`, [{ name: 'evil', privateKey }])

    expect(codeOf(() => openNote(evil, [peter]))).toBe('signature-refused')
    expect(openNote(evil, [verifierKeyOf('evil', privateKey)]).text).toBe(`forged\n\n${peterLine}`)
  })

  it('refuses malformed notes', () => {
    const bare = peterLine.trimEnd()
    const malformed = [
      '',
      '\n',
      '\n\n',
      text,
      `${text}\n`,
      `${text}${peterLine}`,
      `${text}\n${bare}`,
      `${text}\n${peterLine}\n`,
      `${text}\n${peterLine} \n`,
      `${text}\n${peterLine}garbage\n`,
      `${text}\n- ${peterLine.slice(2)}`,
      `${text}\n${peterLine.replace(' P', '  P')}`,
      `${text}\n${bare} \n`,
      `${text}\n${bare}A\n`,
      `${text}\n${bare.slice(0, -1)}\n`,
      `${text}\n${peterLine.replace('/', ' ')}`,
      `${text}\n${peterLine.replace('/', '_')}`,
      `${text}\n\u2014 PeterNeumann \n`,
      `${text}\n\u2014 PeterNeumann x08goA==\n`,
      `${text}\n\u2014 PeterNeumann x08gow==\n`,
      `${text}\r\n\n${peterLine}`,
      `\ufeff${text}\n${peterLine}`,
      `${text}\n${peterLine.repeat(NOTE_SIGNATURES_MAX + 1)}`,
    ]
    for (const note of malformed)
      expect([note, codeOf(() => openNote(note, [peter]))]).toEqual([note, 'signature-refused'])
    expect(codeOf(() => openNote(Uint8Array.of(0xff, 0x0a, 0x0a), [peter]))).toBe('signature-refused')
    expect(codeOf(() => openNote('a'.repeat(2_000_000), [peter]))).toBe('signature-refused')
    expect(codeOf(() => openNote(new Uint8Array(2_000_000), [peter]))).toBe('signature-refused')
  })

  it('reads sixteen signatures, as the specification demands, and answers noise with a refusal', () => {
    const strangers = Array.from({ length: 15 }, (_, index) => ({ name: `w${index}`, privateKey: newKey() }))
    const crowded = `${signNote(text, strangers)}${peterLine}`
    expect(openNote(crowded, [peter]).ignoredCount).toBe(15)

    const piece = fc.constantFrom('\n', '\n\n', '\u2014 ', ' ', 'PeterNeumann', peterLine, text, 'AAAA', '=', '+')
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const note = pieces.join('')
        const answer = codeOf(() => openNote(note, [peter]))
        if (answer === 'accepted') expect(openNote(note, [peter]).text).toBe(text)
        else expect(answer).toBe('signature-refused')
      }),
      { numRuns: 2000 },
    )
  })
})
