/**
 * Finds lines, fields and keys in a block's text, and writes the locator's lines beside it.
 *
 * It stops when there is no more room for keys or for locator lines, and goes on from there when it is called again
 * with more: nobody can know beforehand how much a key needs.
 */
import { anchorLengths, keyStarts, lineStarts, setRows, textEndOf, textOf } from './block'
import { copyLoosely, NEWLINE, separators, TAB } from './bytes'
import { encodeField } from './key'

export const PARSED: i32 = 0
export const KEYS_FULL: i32 = 1
export const LOCATOR_FULL: i32 = 2
export const WRONG_FIELDS: i32 = 3

/** In a bag, room for the digest of the line, which Node puts there. */
const BAG_DIGEST_BYTES: usize = 16

let fieldCount: u32 = 0
let anchorField: i32 = -1
let keyCount: u32 = 0
/** Field numbers of the key, and the starts of the fields of one line (one more than fields). */
let keyFields: usize = 0
let starts: usize = 0

/** Where the next line begins, and its row. */
let at: usize = 0
let row: u32 = 0
let keyAt: usize = 0
let locatorAt: usize = 0
let locatorEnd: usize = 0
let fieldsFound: u32 = 0

export function setSpec(fields: u32, anchor: i32, keys: u32, keyFieldList: usize, startsRoom: usize): void {
  fieldCount = fields
  anchorField = anchor
  keyCount = keys
  keyFields = keyFieldList
  starts = startsRoom
}

export function isBag(): bool {
  return keyCount == 0
}

export function beginParse(block: usize, keys: usize): void {
  at = textOf(block)
  row = 0
  keyAt = keys
}

/** `start` 0: no locator is wanted. */
export function setLocatorRoom(start: usize, end: usize): void {
  locatorAt = start
  locatorEnd = end
}

export function locatorPosition(): usize {
  return locatorAt
}

export function keyPosition(): usize {
  return keyAt
}

export function foundFields(): u32 {
  return fieldsFound
}

/** `keysEnd` bounds the keys. The text ends with a newline, or is empty. */
export function parse(block: usize, keysEnd: usize): i32 {
  const textEnd = textEndOf(block)
  let field: u32 = 1
  let lineAt = at
  store<u32>(starts, <u32>at)
  for (let base = at; base < textEnd; base += 16) {
    let mask = separators(base)
    while (mask) {
      const position = base + ctz<u32>(mask)
      mask &= mask - 1
      if (position >= textEnd) break
      if (field <= fieldCount) store<u32>(starts + (<usize>field << 2), <u32>position + 1)
      if (load<u8>(position) == TAB) {
        field += 1
        continue
      }
      if (field != fieldCount) {
        fieldsFound = field
        return WRONG_FIELDS
      }
      const status = takeLine(block, lineAt, keysEnd)
      if (status != PARSED) return status
      lineAt = position + 1
      at = lineAt
      store<u32>(starts, <u32>lineAt)
      field = 1
    }
  }
  store<u32>(lineStarts(block) + (<usize>row << 2), <u32>at)
  store<u32>(keyStarts(block) + (<usize>row << 2), <u32>keyAt)
  setRows(block, row)
  return PARSED
}

@inline
function fieldStart(field: u32): usize {
  return load<u32>(starts + (<usize>field << 2))
}

@inline
function keyField(index: u32): u32 {
  return load<u32>(keyFields + (<usize>index << 2))
}

function takeLine(block: usize, lineAt: usize, keysEnd: usize): i32 {
  if (keyAt + keyBytesMax() > keysEnd) return KEYS_FULL
  if (locatorAt && !writeLocatorLine()) return LOCATOR_FULL

  store<u32>(lineStarts(block) + (<usize>row << 2), <u32>lineAt)
  store<u32>(keyStarts(block) + (<usize>row << 2), <u32>keyAt)
  let to = keyAt
  if (anchorField >= 0) to = encodeField(fieldStart(anchorField), fieldStart(anchorField + 1) - 1, to)
  store<u32>(anchorLengths(block) + (<usize>row << 2), <u32>(to - keyAt))
  for (let index: u32 = 0; index < keyCount; index += 1) {
    const field = keyField(index)
    to = encodeField(fieldStart(field), fieldStart(field + 1) - 1, to)
  }
  keyAt = keyCount ? to : to + BAG_DIGEST_BYTES
  row += 1
  return PARSED
}

function keyBytesMax(): usize {
  let bytes: usize = BAG_DIGEST_BYTES
  if (anchorField >= 0) bytes += 2 * (fieldStart(anchorField + 1) - fieldStart(anchorField)) + 3
  for (let index: u32 = 0; index < keyCount; index += 1) {
    const field = keyField(index)
    bytes += 2 * (fieldStart(field + 1) - fieldStart(field)) + 3
  }
  return bytes
}

/** The key's fields, then the anchor's. */
function writeLocatorLine(): bool {
  let bytes = fieldStart(anchorField + 1) - fieldStart(anchorField)
  for (let index: u32 = 0; index < keyCount; index += 1) {
    const field = keyField(index)
    bytes += fieldStart(field + 1) - fieldStart(field)
  }
  if (locatorAt + bytes > locatorEnd) return false
  for (let index: u32 = 0; index < keyCount; index += 1) writeLocatorField(keyField(index), TAB)
  writeLocatorField(anchorField, NEWLINE)
  return true
}

function writeLocatorField(field: u32, separator: u32): void {
  const from = fieldStart(field)
  const length = fieldStart(field + 1) - 1 - from
  copyLoosely(locatorAt, from, length)
  store<u8>(locatorAt + length, separator)
  locatorAt += length + 1
}
