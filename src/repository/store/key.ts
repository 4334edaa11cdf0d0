/**
 * What a key may look like, checked at the door of every store.
 *
 * The alphabet is small on purpose: such a key is at once a safe relative path, an S3 key that no server, proxy or
 * signature encodes in two ways, and a string whose order in memory is the order of its bytes. Names that stores use
 * for themselves (`+tmp`, `~probe`) hold a character which no key can hold.
 */
import { assert } from '../../errors.ts'

const KEY_CHARACTERS_MAX = 200

const segmentPattern = /^[A-Za-z0-9._-]+$/
const prefixPattern = /^[A-Za-z0-9._/-]*$/

export function isKey(text: string): boolean {
  return text.length <= KEY_CHARACTERS_MAX && text.split('/').every(isSegment)
}

/** One name between two slashes. The first two alternatives are what makes traversal impossible. */
export function isSegment(name: string): boolean {
  return name !== '.' && name !== '..' && segmentPattern.test(name)
}

/** Keys are made by our own code only, so a wrong one is a defect and not a failure of the world. */
export function assertKey(key: string): void {
  assert(isKey(key), 'an object key is 1 to 200 characters of [A-Za-z0-9._-] in segments, none of them . or ..')
}

/** The beginning of some key: it may end anywhere, also in the middle of a segment. */
export function assertPrefix(prefix: string): void {
  const whole = prefix.split('/').slice(0, -1)
  const isPossible = prefixPattern.test(prefix) && prefix.length <= KEY_CHARACTERS_MAX && whole.every(isSegment)
  assert(isPossible, 'a listing prefix is the beginning of an object key')
}

/** Half-open, and not backwards: `start = end` asks for no bytes, but for the object to be there. */
export function assertRange(start: number, end: number): void {
  const isRange = Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && start <= end
  assert(isRange, `a range needs 0 <= start <= end, not [${start}, ${end})`)
}

/** Order of bytes; the alphabet is ASCII, where the order of UTF-16 units is the same. */
export function compareKeys(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0
}
