/**
 * Canonical JSON against the samples of RFC 8785 (sections 3.2.2 to 3.2.4, appendix B), and as a round trip: what is
 * written is read back, and nothing else is read.
 */
import canonicalize from 'canonicalize'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Failure } from '../../src/errors.ts'
import { canonicalBytes, Latin1Text, parseCanonical } from '../../src/repository/canonical-json.ts'

function write(value: unknown): string {
  return Buffer.from(canonicalBytes(value)).toString('utf8')
}

function read(text: string): unknown {
  return parseCanonical(Buffer.from(text, 'utf8'), 'sample')
}

function refusal(act: () => unknown): Failure {
  try {
    act()
  } catch (error) {
    if (error instanceof Failure) return error
    throw error
  }
  throw new Error('nothing was refused')
}

/** RFC 8785 appendix B: IEEE 754 bits and their spelling. */
const NUMBERS: readonly (readonly [bits: string, text: string])[] = [
  ['0000000000000000', '0'],
  ['8000000000000000', '0'],
  ['0000000000000001', '5e-324'],
  ['8000000000000001', '-5e-324'],
  ['7fefffffffffffff', '1.7976931348623157e+308'],
  ['ffefffffffffffff', '-1.7976931348623157e+308'],
  ['4340000000000000', '9007199254740992'],
  ['c340000000000000', '-9007199254740992'],
  ['4430000000000000', '295147905179352830000'],
  ['44b52d02c7e14af5', '9.999999999999997e+22'],
  ['44b52d02c7e14af6', '1e+23'],
  ['44b52d02c7e14af7', '1.0000000000000001e+23'],
  ['444b1ae4d6e2ef4e', '999999999999999700000'],
  ['444b1ae4d6e2ef4f', '999999999999999900000'],
  ['444b1ae4d6e2ef50', '1e+21'],
  ['3eb0c6f7a0b5ed8c', '9.999999999999997e-7'],
  ['3eb0c6f7a0b5ed8d', '0.000001'],
  ['41b3de4355555553', '333333333.3333332'],
  ['41b3de4355555554', '333333333.33333325'],
  ['41b3de4355555555', '333333333.3333333'],
  ['41b3de4355555556', '333333333.3333334'],
  ['41b3de4355555557', '333333333.33333343'],
  ['becbf647612f3696', '-0.0000033333333333333333'],
  ['43143ff3c1cb0959', '1424953923781206.2'],
]

describe('canonical bytes', () => {
  it('spell numbers as RFC 8785 appendix B does', () => {
    for (const [bits, text] of NUMBERS) {
      const number = Buffer.from(bits, 'hex').readDoubleBE()
      expect(write(number), bits).toBe(text)
      if (!Object.is(number, -0)) expect(read(text)).toBe(number)
    }
  })

  it('refuse the numbers that appendix B refuses', () => {
    for (const bits of ['7fffffffffffffff', '7ff0000000000000', 'fff0000000000000']) {
      const number = Buffer.from(bits, 'hex').readDoubleBE()
      expect(refusal(() => write([number])).message).toBe(
        'assertion failed: not JSON data: a number that is not finite at $.0',
      )
    }
  })

  it('are those of the sample in RFC 8785 section 3.2.4', () => {
    const sample = {
      numbers: [333333333.3333333, 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
      string: '\u20ac$\u000F\u000aA\'\u0042\u0022\u005c\\"/',
      literals: [null, true, false],
    }
    const expected = [
      '7b226c69746572616c73223a5b6e756c6c2c747275652c66616c73655d2c226e756d62657273223a',
      '5b3333333333333333332e333333333333332c31652b33302c342e352c302e3030322c31652d3237',
      '5d2c22737472696e67223a22e282ac245c75303030665c6e4127425c225c5c5c5c5c222f227d',
    ]

    expect(Buffer.from(canonicalBytes(sample)).toString('hex')).toBe(expected.join(''))
  })

  it('order members by UTF-16 code units, as RFC 8785 section 3.2.3 shows', () => {
    const sample = {
      '\u20ac': 'Euro Sign',
      '\r': 'Carriage Return',
      '\ufb33': 'Hebrew Letter Dalet With Dagesh',
      '1': 'One',
      '\ud83d\ude00': 'Emoji: Grinning Face',
      '\u0080': 'Control',
      '\u00f6': 'Latin Small Letter O With Diaeresis',
    }

    const order = [...write(sample).matchAll(/:"([^"]*)"/g)].map((match) => match[1])

    expect(order).toEqual([
      'Carriage Return',
      'One',
      'Control',
      'Latin Small Letter O With Diaeresis',
      'Euro Sign',
      'Emoji: Grinning Face',
      'Hebrew Letter Dalet With Dagesh',
    ])
  })

  it('escape what RFC 8785 section 3.2.2.2 names and nothing else', () => {
    expect(write('\b\t\n\f\r"\\/\u0000\u001f\u007f\u2028病')).toBe(
      '"\\b\\t\\n\\f\\r\\"\\\\/\\u0000\\u001f\u007f\u2028病"',
    )
  })

  it('of long texts, which are written where they belong, are those of the package that spells short ones', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: 'binary', minLength: 1 }).map((part) => part.repeat(Math.ceil(17_000 / part.length))),
    )
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 2 },
        text,
        fc.constantFrom(null, true, -0, 1e21),
        fc.array(tie('tree'), { maxLength: 3 }),
        fc.dictionary(fc.string({ unit: 'binary', maxLength: 3 }), tie('tree'), { maxKeys: 3 }),
      ),
    }))
    fc.assert(
      fc.property(tree, (value) => {
        const spelt = write(value)
        expect(spelt === canonicalize(value)).toBe(true)
        expect(write(read(spelt)) === spelt).toBe(true)
      }),
      { numRuns: 40 },
    )
    const names = { '\ufb33': 'x'.repeat(20_000), '\ud83d\ude00': [], '"': { b: 1, a: 'y'.repeat(20_000) } }
    expect(write(names)).toBe(canonicalize(names))
  })

  it('of a text that is given as its latin1 bytes are those of the text', () => {
    const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
    const lines = Buffer.from(
      every.filter((byte) => byte >= 0x80 || JSON.stringify(String.fromCharCode(byte)).length < 8),
    )
    for (const bytes of [every, lines, Buffer.from('+1\t\\N\t监护仪\n-\n'), Buffer.alloc(0)]) {
      const whole = { b: [{ past: bytes.toString('latin1') }], a: bytes.toString('latin1') }
      const given = { b: [{ past: new Latin1Text(bytes) }], a: new Latin1Text(bytes) }
      expect(write(given)).toBe(write(whole))
    }
  })

  it('do not normalise text: composed and decomposed letters stay what they are', () => {
    expect(write('\u00e5')).not.toBe(write('a\u030a'))
  })

  it('are the same whatever order the members were set in', () => {
    expect(write({ b: { d: 1, c: 2 }, a: [] })).toBe(write({ a: [], b: { c: 2, d: 1 } }))
  })

  it('keep members whose names JavaScript treats in its own way', () => {
    const value: unknown = JSON.parse('{"10":1,"9":2,"__proto__":3,"constructor":4}')
    expect(write(value)).toBe('{"10":1,"9":2,"__proto__":3,"constructor":4}')
  })

  it('exist for nothing that JSON would drop, replace or flatten', () => {
    const cyclic: unknown[] = []
    cyclic.push(cyclic)
    const holes: unknown[] = [1, 2, 3]
    delete holes[1]
    const withToJson = { a: 1, toJSON: () => 'other' }
    const hidden = { value: () => 'other', enumerable: false }
    const refused: readonly unknown[] = [
      Object.defineProperty({ a: 1 }, 'toJSON', hidden),
      Object.defineProperty([1], 'toJSON', hidden),
      undefined,
      { a: undefined },
      [undefined],
      () => 1,
      Symbol('s'),
      10n,
      new Date(0),
      new Map(),
      new Set([1]),
      new Uint8Array(2),
      Object(1),
      Object('text'),
      new (class Point {})(),
      withToJson,
      { [Symbol('s')]: 1 },
      holes,
      Object.assign([1], { extra: 2 }),
      cyclic,
      'a\ud800b',
      { 'a\udc00': 1 },
      Number.NaN,
    ]
    for (const value of refused) expect(refusal(() => canonicalBytes(value)).code).toBe('defect')
  })

  it('refuse without repeating the value or a member’s name', () => {
    const failure = refusal(() => canonicalBytes({ ward: 1, 王小明: { a: 'x', b: ['\ud800secret'] } }))
    expect(failure.message).toBe('assertion failed: not JSON data: a lone surrogate at $.1.1.0')
  })
})

describe('parsing', () => {
  it('gives back every value that was written, and its bytes', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5, stringUnit: 'binary' }), (value) => {
        const bytes = canonicalBytes(value)
        const parsed = parseCanonical(bytes, 'value')
        expect(Buffer.compare(canonicalBytes(parsed), bytes)).toBe(0)
        expect(JSON.stringify(parsed)).toBe(JSON.stringify(JSON.parse(new TextDecoder().decode(bytes))))
      }),
    )
  })

  it('refuses every other spelling of the same value', () => {
    const spellings = [
      '{"b":1,"a":2}',
      '{"a":1,"a":1}',
      '{"a":1,"a":2}',
      '{"\\u0061":1}',
      '{ "a":1}',
      '{"a":1}\n',
      ' 1',
      '[1,2 ]',
      '1.0',
      '-0',
      '1e2',
      '1E+30',
      '9007199254740993',
      '0.1000000000000000055511151231257827',
      '"\\/"',
      '"\\u000A"',
      '"\\u000a"',
      '"\\u00e9"',
      '"\\ud83d\\ude00"',
      '\ufeff{}',
    ]
    for (const text of spellings) {
      const failure = refusal(() => read(text))
      expect([text, failure.code]).toEqual([text, 'repository-damaged'])
    }
  })

  it('refuses what is not JSON in UTF-8, and does not quote it', () => {
    const broken = [
      '',
      '{',
      '{"secret":',
      'secret',
      "{'a':1}",
      'NaN',
      '[1,]',
      '1e400',
      '"\\ud800"',
      '{"\\udead":1}',
      '[]]',
      '"a\u0001"',
    ]
    for (const text of broken) {
      const failure = refusal(() => read(text))
      expect([text, failure.code]).toEqual([text, 'repository-damaged'])
      expect(`${failure.message} ${failure.cause}`).not.toContain('secret')
    }
    for (const bytes of [
      [0x22, 0xff, 0x22],
      [0x22, 0xed, 0xa0, 0x80, 0x22],
      [0x22, 0xc0, 0xaf, 0x22],
    ]) {
      expect(refusal(() => parseCanonical(Uint8Array.from(bytes), 'x')).message).toBe(
        'x is not canonical JSON: not JSON in UTF-8',
      )
    }
  })

  it('refuses every one-byte change that still is JSON, or gives another value', () => {
    const bytes = canonicalBytes({ manifest: 'ab'.repeat(32), previous: null, rows: [1, 250, 3.5], time: '2026-03-01' })
    const original = JSON.stringify(parseCanonical(bytes, 'x'))
    for (let at = 0; at < bytes.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const changed = Uint8Array.from(bytes)
        changed[at]! ^= 1 << bit
        expect(readOrNull(changed)).not.toBe(original)
      }
    }
  })

  it('refuses more bytes or more depth than it is told to read, whatever stands in them', () => {
    const deep = (levels: number): Uint8Array => Buffer.from('['.repeat(levels) + ']'.repeat(levels))

    expect(parseCanonical(deep(64), 'x')).toBeInstanceOf(Array)
    expect(refusal(() => parseCanonical(deep(65), 'x')).message).toBe('x is not canonical JSON: nested deeper than 64')
    expect(refusal(() => parseCanonical(deep(5_000_000), 'x')).message).toContain('nested deeper than 64')
    expect(refusal(() => parseCanonical(deep(3), 'x', { depthMax: 2 })).message).toContain('nested deeper than 2')
    expect(refusal(() => parseCanonical(deep(3), 'x', { bytesMax: 5 })).message).toContain(
      '6 bytes, at most 5 are read',
    )
    expect(read(`"${'['.repeat(100)}"`)).toBe('['.repeat(100))
    expect(read(`["\\"${'['.repeat(100)}","\\\\"]`)).toEqual([`"${'['.repeat(100)}`, '\\'])
  })

  it('writes as deep as it reads', () => {
    let value: unknown = 1
    for (let depth = 0; depth < 64; depth++) value = { a: value }
    expect(parseCanonical(canonicalBytes(value), 'x')).toEqual(value)
    expect(refusal(() => canonicalBytes([value])).message).toContain('nested too deep')
  })
})

function readOrNull(bytes: Uint8Array): string | null {
  try {
    return JSON.stringify(parseCanonical(bytes, 'x'))
  } catch (error) {
    if (error instanceof Failure) return null
    throw error
  }
}
