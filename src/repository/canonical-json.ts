/**
 * JSON with exactly one spelling (RFC 8785, JCS): what is signed, digested or compared is these bytes.
 *
 * The `canonicalize` package does the spelling: members sorted by UTF-16 code units, numbers as ECMAScript prints
 * them, the shortest string escapes; long texts are written beside it, to the same bytes. Like JSON.stringify it also
 * forgives: it drops `undefined`, calls `toJSON`, turns a Map into `{}`. What is signed must be what was meant, so this file refuses beforehand everything that is not plain
 * JSON data (I-JSON, RFC 7493), and reads back only bytes that it would itself write. That one comparison refuses
 * duplicate member names, other orders, white space, other number spellings (`1.0`, `-0`, `9007199254740993`) and
 * needless escapes at once.
 *
 * Errors name places by ordinals (`$.2.0` is the first member of the third), never by member names or values: plans
 * and audit entries pass through here (I9).
 */
import canonicalize from 'canonicalize'
import { Failure } from '../errors.ts'

export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [member: string]: JsonValue }

/** A string of a value that is to be spelt, as its latin1 bytes: megabytes of lines need not become a string first. */
export class Latin1Text {
  readonly bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }
}

/** Strings from here on are written where they belong: putting them together as text copies them again and again. */
const LONG_STRING_MIN = 16 * 1024

/** Far above any manifest (a thousand tables take well under a megabyte): what is longer is not ours. */
const CANONICAL_BYTES_MAX = 64 * 1024 * 1024
/** Arrays and objects count; a scalar has depth 0. Far above what our own formats nest. */
const CANONICAL_DEPTH_MAX = 64

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d

/** Making these costs more than using them on a small object. */
const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export interface CanonicalLimits {
  readonly bytesMax?: number
  readonly depthMax?: number
}

/**
 * RFC 8785 bytes of `value`, UTF-8, without a final newline. Plain objects, arrays, strings, finite numbers, booleans
 * and null only, and `Latin1Text` for strings; -0 is written 0 (RFC 8785 section 3.2.2.3).
 * @throws defect for anything else: that a value is not JSON is our mistake, never the world's.
 */
export function canonicalBytes(value: unknown): Uint8Array {
  const problem = findProblem(value, CANONICAL_DEPTH_MAX)
  if (problem !== null) throw new Failure('defect', `assertion failed: not JSON data: ${problem}`)
  return encode(value)
}

/**
 * The value whose canonical spelling is exactly `bytes`. `what` names the object in errors, for example its key.
 * @throws repository-damaged when they are anything else, longer than `bytesMax`, or deeper than `depthMax`.
 */
export function parseCanonical(bytes: Uint8Array, what: string, limits: CanonicalLimits = {}): JsonValue {
  const bytesMax = limits.bytesMax ?? CANONICAL_BYTES_MAX
  const depthMax = limits.depthMax ?? CANONICAL_DEPTH_MAX
  if (bytes.length > bytesMax) throw notCanonical(what, `${bytes.length} bytes, at most ${bytesMax} are read`)
  if (nestingOf(bytes) > depthMax) throw notCanonical(what, `nested deeper than ${depthMax}`)

  const value = parseJson(bytes, what)
  const problem = findProblem(value, depthMax)
  if (problem !== null) throw notCanonical(what, problem)

  const canonical = encode(value)
  const difference = firstDifference(bytes, canonical)
  if (difference !== -1) throw notCanonical(what, `first differs from its canonical spelling at byte ${difference}`)
  return value
}

function encode(value: unknown): Uint8Array {
  if (!holdsLongText(value)) return encoder.encode(spell(value))
  const parts: Uint8Array[] = []
  appendTo(parts, value)
  return Buffer.concat(parts)
}

function spell(value: unknown): string {
  const text = canonicalize(value)
  if (text === undefined) throw new Failure('defect', 'assertion failed: a checked value has a canonical spelling')
  return text
}

function holdsLongText(value: unknown): boolean {
  if (typeof value === 'string') return value.length >= LONG_STRING_MIN
  if (value === null || typeof value !== 'object') return false
  return value instanceof Latin1Text || Object.values(value).some(holdsLongText)
}

/** As `canonicalize` spells it: members in the order of their UTF-16 code units, which is that of `sort`. */
function appendTo(parts: Uint8Array[], value: unknown): void {
  if (value instanceof Latin1Text) parts.push(latin1String(value.bytes))
  else if (typeof value === 'string') parts.push(Buffer.from(JSON.stringify(value)))
  else if (!holdsLongText(value)) parts.push(encoder.encode(spell(value)))
  else if (Array.isArray(value)) appendAll(parts, '[]', value.entries())
  else appendAll(parts, '{}', Object.entries(value as object).sort(byMemberName))
}

function byMemberName([left]: [string, unknown], [right]: [string, unknown]): number {
  return left < right ? -1 : 1
}

function appendAll(parts: Uint8Array[], brackets: string, members: Iterable<[string | number, unknown]>): void {
  let before = brackets[0]!
  for (const [name, member] of members) {
    parts.push(encoder.encode(typeof name === 'string' ? `${before}${JSON.stringify(name)}:` : before))
    appendTo(parts, member)
    before = ','
  }
  parts.push(encoder.encode(brackets[1]))
}

/** Of a byte how it is spelt: 0 as it is, 1 by two bytes of UTF-8, 2 by its number, else by a backslash and this. */
const SPELLINGS = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte >= 0x80) return 1
  const spelt = JSON.stringify(String.fromCharCode(byte)).slice(1, -1)
  if (spelt.length === 1) return 0
  return spelt.length === 2 ? spelt.charCodeAt(1) : 2
})

/** Room for two bytes of each, which is enough of all that people write. */
function latin1String(bytes: Uint8Array): Uint8Array {
  const out = Buffer.allocUnsafe(2 * bytes.length + 2)
  out[0] = QUOTE
  let to = 1
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at]!
    const spelling = SPELLINGS[byte]!
    if (spelling === 0) out[to++] = byte
    else if (spelling === 1) {
      out[to++] = 0xc0 | (byte >> 6)
      out[to++] = 0x80 | (byte & 0x3f)
    } else if (spelling === 2) return Buffer.from(JSON.stringify(asBuffer(bytes).toString('latin1')))
    else {
      out[to++] = BACKSLASH
      out[to++] = spelling
    }
  }
  out[to++] = QUOTE
  return out.subarray(0, to)
}

function asBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength)
}

/** The parser's own message quotes the text (I9): it is dropped, with its error. */
function parseJson(bytes: Uint8Array, what: string): JsonValue {
  try {
    return JSON.parse(decoder.decode(bytes))
  } catch {
    throw notCanonical(what, 'not JSON in UTF-8')
  }
}

/** Something that JSON cannot say; `ordinals` lead to it from the outside in. */
interface Problem {
  readonly reason: string
  readonly ordinals: readonly number[]
}

/** The first problem of `value` in words, with its place, or null. */
function findProblem(value: unknown, depthMax: number): string | null {
  const problem = problemOf(value, depthMax)
  return problem === null ? null : `${problem.reason} at ${['$', ...problem.ordinals].join('.')}`
}

function problemOf(value: unknown, depthLeft: number): Problem | null {
  if (value === null || typeof value === 'boolean') return null
  if (typeof value === 'number') return Number.isFinite(value) ? null : here('a number that is not finite')
  if (typeof value === 'string') return value.isWellFormed() ? null : here('a lone surrogate')
  if (typeof value !== 'object') return here(`a value of type ${typeof value}`)
  if (value instanceof Latin1Text) return null
  // A cycle ends here too.
  if (depthLeft <= 0) return here('nested too deep')
  return Array.isArray(value) ? problemInArray(value, depthLeft) : problemInObject(value, depthLeft)
}

function problemInArray(array: readonly unknown[], depthLeft: number): Problem | null {
  if (!isPlain(array, Array.prototype) || Object.keys(array).length !== array.length) {
    return here('an array with holes, properties or a class of its own')
  }
  for (let index = 0; index < array.length; index++) {
    const problem = problemOf(array[index], depthLeft - 1)
    if (problem !== null) return within(index, problem)
  }
  return null
}

function problemInObject(object: object, depthLeft: number): Problem | null {
  if (!isPlain(object, Object.prototype)) return here('an object that is not plain data')
  let index = 0
  for (const [name, member] of Object.entries(object)) {
    if (!name.isWellFormed()) return within(index, here('a lone surrogate in the name'))
    const problem = problemOf(member, depthLeft - 1)
    if (problem !== null) return within(index, problem)
    index += 1
  }
  return null
}

function here(reason: string): Problem {
  return { reason, ordinals: [] }
}

function within(ordinal: number, { reason, ordinals }: Problem): Problem {
  return { reason, ordinals: [ordinal, ...ordinals] }
}

/** No class, no symbols, and no `toJSON` that would put something else in the value's place. */
function isPlain(value: object, prototype: object): boolean {
  const actual: unknown = Object.getPrototypeOf(value)
  if (actual !== prototype && actual !== null) return false
  if (Object.getOwnPropertySymbols(value).length > 0) return false
  return !('toJSON' in value && typeof value.toJSON === 'function')
}

/** Depth of brackets outside strings, before anything is built from the bytes. Wrong only for what is not JSON. */
function nestingOf(bytes: Uint8Array): number {
  let depth = 0
  let deepest = 0
  let inString = false
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes[index]
    if (inString) {
      if (byte === BACKSLASH) index += 1
      else if (byte === QUOTE) inString = false
    } else if (byte === QUOTE) inString = true
    else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) deepest = Math.max(deepest, ++depth)
    else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) depth -= 1
  }
  return deepest
}

/** -1 when equal. */
function firstDifference(left: Uint8Array, right: Uint8Array): number {
  if (Buffer.compare(left, right) === 0) return -1
  const common = Math.min(left.length, right.length)
  for (let index = 0; index < common; index++) {
    if (left[index] !== right[index]) return index
  }
  return common
}

function notCanonical(what: string, reason: string): Failure {
  return new Failure('repository-damaged', `${what} is not canonical JSON: ${reason}`, {
    hints: ['Run `chartkeep check` to see what else is damaged, and what it affects.'],
  })
}
