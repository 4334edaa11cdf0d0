/**
 * The paper form under everything that eyes, ears and fingers do to it: every single wrong, missing, doubled or
 * exchanged character either means the same (case, spaces, O for 0) or is refused.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Failure } from '../../../src/errors.ts'
import { checkSymbols, foldSymbols, fromSymbols, toSymbols } from '../../../src/repository/ledger/check-symbols.ts'
import { type Checkpoint, makeCheckpoint } from '../../../src/repository/ledger/checkpoint.ts'
import { formatPaper, parsePaper } from '../../../src/repository/ledger/paper-checkpoint.ts'

const checkpoint = makeCheckpoint({
  origin: 'chartkeep/9f2c-6a41.d07b',
  size: 20852163,
  root: Uint8Array.from(Buffer.from('CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=', 'base64')),
  time: '2026-03-01T10:15:00Z',
})
const paper = formatPaper(checkpoint)
const TYPEABLE = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-:/._ ,;+=病é'

/** The checkpoint, or the code of the refusal. */
function readBack(typed: string): Checkpoint | string {
  try {
    return parsePaper(typed)
  } catch (error) {
    if (error instanceof Failure) return error.code
    throw error
  }
}

/** Whether `typed` is refused, or is taken for exactly the printed checkpoint. */
function isHarmless(typed: string): 'refused' | 'same' {
  const answer = readBack(typed)
  if (answer === 'bad-usage') return 'refused'
  expect(answer).toEqual(checkpoint)
  return 'same'
}

describe('check symbols', () => {
  it('are the checksum of bech32m: the vectors of BIP 350 that have no data', () => {
    const bech32 = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l'
    const crockford = '0123456789abcdefghjkmnpqrstvwxyz'
    const published = [
      ['a', 'lqfn3a'],
      ['an83characterlonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber1', '1sg7hg6'.slice(1)],
      ['?', 'v759aa'],
    ] as const
    for (const [readable, checksum] of published) {
      const translated = Array.from(checkSymbols(readable), (symbol) => bech32[crockford.indexOf(symbol)]).join('')
      expect([readable, translated]).toEqual([readable, checksum])
    }
  })

  it('differ for any two lines of up to 41 characters that differ in one or two of them', () => {
    const character = fc.constantFrom(...'0123456789abcdefghijklmnopqrstuvwxyz-./:')
    const line = fc.array(character, { minLength: 2, maxLength: 41 })
    fc.assert(
      fc.property(line, fc.nat(), fc.nat(), character, character, (original, placeA, placeB, a, b) => {
        const changed = original.with(placeA % original.length, a).with(placeB % original.length, b)
        if (changed.join('') === original.join('')) return
        expect(checkSymbols(changed.join(''))).not.toBe(checkSymbols(original.join('')))
      }),
      { numRuns: 3000 },
    )
  })

  it('of base 32 give back the bytes, and only for the one spelling', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), (bytes) => {
        const symbols = toSymbols(bytes)
        expect(fromSymbols(symbols, bytes.length)).toEqual(bytes)
        expect(fromSymbols(symbols, bytes.length + 1)).toBeNull()
      }),
    )
    expect(toSymbols(Uint8Array.of(0xff))).toBe('zw')
    expect([fromSymbols('zw', 1), fromSymbols('zx', 1), fromSymbols('zu', 1)]).toEqual([
      Uint8Array.of(0xff),
      null,
      null,
    ])
    expect(foldSymbols(' oO-Il1 ')).toBe('00111')
  })
})

describe('paper form', () => {
  it('stays as it was printed the first time', () => {
    expect(paper).toMatchInlineSnapshot(`
      "chartkeep checkpoint, paper form 1
      origin  chartkeep/9f2c-6a41.d07b              AYG 9BT
      size    20852163                              EQM 7TR
      time    2026-03-01T10:15:00Z                  ZKJ DA2
      root-a  1B2H GTMH GRZ8 W7CG                   K6Q PVC
      root-b  S040 2JN8 KFTX N3HY                   PZF VYN
      root-c  W7CZ 0XHG Y0VR YT7H NDH0              F5S MWC
      whole   KCRE MG0P                             J2Q ZBZ
      "
    `)
  })

  it('gives back origin, size, root and time', () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^[a-z0-9]([a-z0-9._/:-]{0,68}[a-z0-9])?$/),
        fc.maxSafeNat(),
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.integer({ min: 0, max: 253402300799 }),
        (origin, size, root, second) => {
          const time = new Date(second * 1000).toISOString().replace('.000Z', 'Z')
          const printed = makeCheckpoint({ origin, size, root, time })
          expect(parsePaper(formatPaper(printed))).toEqual(printed)
        },
      ),
      { numRuns: 300 },
    )
  })

  it('reads the same in any case, spacing, and as a Chinese input method types it', () => {
    const fullWidth = paper.replace(/[!-~]/g, (character) => String.fromCharCode(character.charCodeAt(0) + 0xfee0))
    const spellings = [
      paper.toLowerCase(),
      paper.toUpperCase(),
      paper.replaceAll(' ', ''),
      paper.replaceAll('\n', '\r\n'),
      `\n\n  ${paper.replaceAll('\n', '\n\n   ')}\t\n`,
      paper.replace(/(?<=^(?:root|whole).*)0/gm, 'O').replace(/(?<=^(?:root|whole).*)1/gm, 'l'),
      paper.replace(/^(root-.|whole|size|time|origin) /gm, '$1: '),
      fullWidth.replaceAll(' ', '\u3000'),
    ]
    for (const typed of spellings) expect(readBack(typed)).toEqual(checkpoint)
  })

  it('is refused with any one character replaced, unless the replacement means the same', () => {
    let refused = 0
    for (let at = 0; at < paper.length; at++) {
      for (const character of TYPEABLE) {
        const typed = paper.slice(0, at) + character + paper.slice(at + 1)
        if (typed !== paper && isHarmless(typed) === 'refused') refused += 1
      }
    }
    expect(refused).toBeGreaterThan(10_000)
  })

  it('is refused with any one character missing or doubled, or two neighbours exchanged, unless it means the same', () => {
    let refused = 0
    for (let at = 0; at < paper.length; at++) {
      const [before, character, next = '', after] = [paper.slice(0, at), paper[at], paper[at + 1], paper.slice(at + 2)]
      const typed = [
        `${before}${next}${after}`,
        `${before}${character}${character}${next}${after}`,
        `${before}${next}${character}${after}`,
      ]
      for (const mistake of typed) if (mistake !== paper && isHarmless(mistake) === 'refused') refused += 1
    }
    expect(refused).toBeGreaterThan(300)
  })

  it('names the line with the mistake', () => {
    expect(() => parsePaper(paper.replace('20852163', '20852168'))).toThrow('line size has a typing error')
    expect(() => parsePaper(paper.replace('2026-03', '2026-08'))).toThrow('line time has a typing error')
    expect(() => parsePaper(paper.replace('d07b', 'do7b'))).toThrow('line origin has a typing error')
  })

  it('is refused when lines are missing, exchanged, doubled, or of different checkpoints', () => {
    const lines = paper.trimEnd().split('\n')
    const other = formatPaper({ ...checkpoint, size: 20852164 })
      .trimEnd()
      .split('\n')
    for (let at = 0; at < lines.length; at++) {
      expect(readBack(lines.toSpliced(at, 1).join('\n'))).toBe('bad-usage')
      expect(readBack(lines.toSpliced(at, 0, lines[at]!).join('\n'))).toBe('bad-usage')
      if (at > 0)
        expect(
          readBack(
            lines
              .with(at, lines[at - 1]!)
              .with(at - 1, lines[at]!)
              .join('\n'),
          ),
        ).toBe('bad-usage')
    }
    const mixed = lines.map((line, at) => (line.startsWith('size') ? other[at] : line)).join('\n')
    expect(() => parsePaper(mixed)).toThrow('each is right, and together they are not')
    expect(readBack('')).toBe('bad-usage')
    expect(readBack('x'.repeat(10_000_000))).toBe('bad-usage')
  })

  it('answers noise with a refusal', () => {
    const pieces = fc.constantFrom(...paper.split(/(?<=[\n ])/), '-', '病', '\u0130', '\0', ':')
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 40 }), (noise) => {
        expect(isHarmless(noise.join(''))).toBeDefined()
      }),
      { numRuns: 1000 },
    )
  })

  it('is not printed for an origin that cannot be read aloud', () => {
    for (const origin of ['Icu', '重症', 'a b', 'a+b', 'a-', ':a', 'a'.repeat(71), '']) {
      expect(() => formatPaper({ ...checkpoint, origin })).toThrow(
        expect.objectContaining({ code: 'bad-configuration' }),
      )
    }
  })
})
