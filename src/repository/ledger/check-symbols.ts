/**
 * Symbols for people: 32 of them (Crockford's base 32), and six that prove a typed line.
 *
 * The alphabet has no I, L, O and U; whoever reads or types I or L means 1, and O means 0. Case means nothing.
 *
 * The check symbols are the checksum of bech32m (BIP 350, with BIP 173's expansion of the readable part), computed over
 * the line as the readable part, with no data, and written in the alphabet above. It is a BCH code: in a line of up to
 * 41 characters any two wrong characters are noticed with certainty, a wrong one in any line that it takes at all;
 * everything else passes once in 2^30.
 */
import { assert } from '../../errors.ts'

export const CHECK_SYMBOLS = 6

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'
/** BIP 173 allows a readable part of 1 to 83 characters. */
const LINE_CHARACTERS_MAX = 83
const GENERATOR = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3] as const
const BECH32M_CONSTANT = 0x2bc830a3

/** Symbols as they are meant: lower case, without spaces and hyphens, I and L as 1, O as 0. May hold anything else. */
export function foldSymbols(typed: string): string {
  return typed.toLowerCase().replace(/[\s-]/g, '').replace(/[il]/g, '1').replace(/o/g, '0')
}

/** Five bits a symbol, the last one filled with zero bits. */
export function toSymbols(bytes: Uint8Array): string {
  let bits = ''
  for (const byte of bytes) bits += byte.toString(2).padStart(8, '0')
  const groups = bits.padEnd(Math.ceil(bits.length / 5) * 5, '0').match(/.{5}/g) ?? []
  return groups.map((group) => ALPHABET[Number.parseInt(group, 2)]).join('')
}

/** Null unless `symbols` is exactly what `toSymbols` makes of `byteCount` bytes. */
export function fromSymbols(symbols: string, byteCount: number): Uint8Array | null {
  if (symbols.length !== Math.ceil((byteCount * 8) / 5)) return null
  let bits = ''
  for (const symbol of symbols) {
    const value = ALPHABET.indexOf(symbol)
    if (value === -1) return null
    bits += value.toString(2).padStart(5, '0')
  }
  const bytes = Uint8Array.from({ length: byteCount }, (_, index) =>
    Number.parseInt(bits.slice(index * 8, index * 8 + 8), 2),
  )
  return toSymbols(bytes) === symbols ? bytes : null
}

/** Printable ASCII without spaces and capitals, 1 to 83 characters. */
export function isCheckable(line: string): boolean {
  return line.length <= LINE_CHARACTERS_MAX && /^[!-@[-~]+$/.test(line)
}

/** The six check symbols of `line`. */
export function checkSymbols(line: string): string {
  assert(isCheckable(line), 'a checked line is printable lower-case ASCII of at most 83 characters')
  const codes = Array.from(line, (character) => character.charCodeAt(0))
  const expanded = [...codes.map((code) => code >> 5), 0, ...codes.map((code) => code & 31)]
  const residue = polymod([...expanded, 0, 0, 0, 0, 0, 0]) ^ BECH32M_CONSTANT
  return Array.from({ length: CHECK_SYMBOLS }, (_, index) => ALPHABET[(residue >> (25 - 5 * index)) & 31]).join('')
}

/** BIP 173: the remainder of a polynomial over GF(32), in 30 bits. */
function polymod(values: readonly number[]): number {
  let remainder = 1
  for (const value of values) {
    const top = remainder >> 25
    remainder = ((remainder & 0x1ffffff) << 5) ^ value
    for (const [bit, term] of GENERATOR.entries()) {
      if ((top >> bit) & 1) remainder ^= term
    }
  }
  return remainder
}
