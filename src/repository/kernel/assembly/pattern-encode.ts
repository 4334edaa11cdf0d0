/** A column as templates and numbers: tree/pattern-column.ts has the form and the choice, and this makes the same. */
import { copyLoosely, NEWLINE, sameBytes } from './bytes'
import { addReference, beginNumbers, putNumbers } from './number-encode'
import { SCAN_NUMBERS, scanField, scannedNumbers, SLOT_MARK, SLOTS_MAX, TEMPLATE_BYTES_MAX } from './pattern-scan'
import { putVarint } from './varint'

const TEMPLATES_MAX: u32 = 255
const ROWS_PER_TEMPLATE: u32 = 8
const ROWS_PER_WORD: u32 = 4
const TEMPLATES_ALWAYS: u32 = 4
const REFERENCES_MAX: u32 = 4

/** A power of two, twice the templates at least. */
const TABLE_BITS: u64 = 9
const TABLE_SLOTS: u32 = 1 << <u32>TABLE_BITS
const TABLE_BYTES: usize = 4 * <usize>TABLE_SLOTS
const LIST_BYTES: usize = 8 * (<usize>TEMPLATES_MAX + 1)
const TEMPLATE_ROOM_BYTES: usize = (<usize>TEMPLATES_MAX + 1) * TEMPLATE_BYTES_MAX
const SCAN_BYTES: usize = 8 * SCAN_NUMBERS

let rows: u32 = 0
let bounds: usize = 0
let columns: u32 = 0

/** Numbers of the templates by hash, 0 none: cleared for each column. */
let table: usize = 0
/** Start and length of each template; of words, and of those with numbers. */
let wordList: usize = 0
let templateList: usize = 0
let templateRoom: usize = 0
let scanned: usize = 0
let wordIndexes: usize = 0
let templateIndexes: usize = 0
/** For each slot, the numbers it has, and how many; and of the first one, their rows. */
let slotNumbers: usize = 0
let slotRows: usize = 0
let scratch: usize = 0
/** For each column: the kind of its first slot, 0 none; and for each row what that slot had last. */
let kinds: usize = 0
let currents: usize = 0

let slotCounts: usize = 0
let slots: u32 = 0

/** Bytes that `setPatternRoom` must be given. */
export function patternRoomBytes(rowCount: u32, columnCount: u32): usize {
  const perRow: usize = 2 + 8 * <usize>SLOTS_MAX + 4 + 8 + 8 * <usize>columnCount
  const fixed = TABLE_BYTES + 2 * LIST_BYTES + TEMPLATE_ROOM_BYTES + SCAN_BYTES + 4 * <usize>columnCount + 256
  return fixed + perRow * <usize>rowCount
}

export function setPatternRoom(room: usize, fieldBounds: usize, rowCount: u32, columnCount: u32): void {
  rows = rowCount
  columns = columnCount
  bounds = fieldBounds
  const perRow = <usize>rowCount
  currents = room
  slotNumbers = currents + 8 * perRow * <usize>columnCount
  scratch = slotNumbers + 8 * perRow * <usize>SLOTS_MAX
  scanned = scratch + 8 * perRow
  slotRows = scanned + SCAN_BYTES
  kinds = slotRows + 4 * perRow
  table = kinds + 4 * <usize>columnCount
  wordList = table + TABLE_BYTES
  templateList = wordList + LIST_BYTES
  templateRoom = templateList + LIST_BYTES
  wordIndexes = templateRoom + TEMPLATE_ROOM_BYTES
  templateIndexes = wordIndexes + perRow + 64
  slotCounts = templateIndexes + perRow + 64
}

/** @returns the end of what was written, or 0, and nothing written, where the column has no pattern */
export function encodePatterns(column: u32, out: usize): usize {
  store<u32>(kinds + (<usize>column << 2), 0)
  const templates = gatherTemplates(column)
  if (templates && slots <= 1) return putColumn(column, templates, templateList, templateIndexes, out)
  const withNumbers = slots
  const words = gatherWords(column)
  if (words) {
    slots = 0
    return putColumn(column, words, wordList, wordIndexes, out)
  }
  slots = withNumbers
  return templates ? putColumn(column, templates, templateList, templateIndexes, out) : 0
}

/** A column of another codec: nothing refers to it. */
export function noNumbers(column: u32): void {
  store<u32>(kinds + (<usize>column << 2), 0)
}

function limit(rowsPerTemplate: u32): u32 {
  return min(TEMPLATES_MAX, max(TEMPLATES_ALWAYS, rows / rowsPerTemplate))
}

@inline
function startOf(row: u32, column: u32): usize {
  return load<u32>(bounds + ((<usize>row * <usize>columns + <usize>column) << 2))
}

@inline
function endOf(row: u32, column: u32): usize {
  return load<u32>(bounds + ((<usize>row * <usize>columns + <usize>column) << 2), 4) - 1
}

@inline
function slotCount(slot: u32): u32 {
  return load<u32>(slotCounts + (<usize>slot << 2))
}

/** @returns how many; 0 where there are too many, or a field has none */
function gatherTemplates(column: u32): u32 {
  memory.fill(table, 0, TABLE_BYTES)
  memory.fill(slotCounts, 0, 4 * SLOTS_MAX)
  const most = limit(ROWS_PER_TEMPLATE)
  const byRow = currents + ((<usize>column * <usize>rows) << 3)
  let count: u32 = 0
  let next = templateRoom
  let first: i64 = 0
  let index: u32 = 0
  let before: usize = 0
  let beforeLength: usize = 0
  slots = 0
  for (let row: u32 = 0; row < rows; row += 1) {
    const start = startOf(row, column)
    const length = endOf(row, column) - start
    // A field that repeats the one above has its template and its numbers, which are still there.
    if (!before || length != beforeLength || !sameBytes(before, start, length)) {
      const end = scanField(start, start + length, next, scanned)
      if (!end) return 0
      index = find(templateList, count, next, end - next)
      if (index == count) {
        if (count == most) return 0
        count += 1
        next = end
      }
      before = start
      beforeLength = length
    }
    store<u8>(templateIndexes + row, index)
    const numbers = scannedNumbers()
    for (let slot: u32 = 0; slot < numbers; slot += 1) {
      const place = slotCount(slot)
      const number = load<i64>(scanned + (<usize>slot << 3))
      store<i64>(slotNumbers + ((<usize>slot * <usize>rows + <usize>place) << 3), number)
      if (slot == 0) {
        store<u32>(slotRows + (<usize>place << 2), row)
        first = number
      }
      store<u32>(slotCounts + (<usize>slot << 2), place + 1)
    }
    slots = max(slots, numbers)
    store<i64>(byRow + (<usize>row << 3), first)
  }
  return count
}

function gatherWords(column: u32): u32 {
  memory.fill(table, 0, TABLE_BYTES)
  const most = limit(ROWS_PER_WORD)
  let count: u32 = 0
  for (let row: u32 = 0; row < rows; row += 1) {
    const start = startOf(row, column)
    const index = find(wordList, count, start, endOf(row, column) - start)
    if (index == count) {
      if (count == most) return 0
      count += 1
    }
    store<u8>(wordIndexes + row, index)
  }
  return count
}

let lastFound: u32 = 0

/** The number of the template; `count`, and it is listed, when it is a new one. */
function find(list: usize, count: u32, start: usize, length: usize): u32 {
  if (lastFound < count && isAt(list, lastFound, start, length)) return lastFound
  let slot = hashOf(start, length)
  let found = listedAt(slot)
  while (found && !isAt(list, found - 1, start, length)) {
    slot = (slot + 1) & (TABLE_SLOTS - 1)
    found = listedAt(slot)
  }
  lastFound = found ? found - 1 : count
  if (found) return lastFound
  // One more than may be kept is listed, and then given up.
  store<u32>(table + (<usize>slot << 2), count + 1)
  store<u32>(list + (<usize>count << 3), <u32>start)
  store<u32>(list + (<usize>count << 3), <u32>length, 4)
  return count
}

/** Of the first and last eight bytes: a table of 255 needs no better one. */
@inline
function hashOf(start: usize, length: usize): u32 {
  let word = load<u64>(start)
  if (length >= 8) word ^= rotl<u64>(load<u64>(start + length - 8), 29)
  else word &= ((<u64>1) << (<u64>length << 3)) - 1
  return <u32>(((word ^ <u64>length) * 0x9e3779b185ebca87) >> (64 - TABLE_BITS))
}

/** One more than the number of a template; 0: none. */
@inline
function listedAt(slot: u32): u32 {
  return load<u32>(table + (<usize>slot << 2))
}

@inline
function isAt(list: usize, index: u32, start: usize, length: usize): bool {
  const entry = list + (<usize>index << 3)
  return load<u32>(entry, 4) == <u32>length && sameBytes(load<u32>(entry), start, length)
}

function putColumn(column: u32, templates: u32, list: usize, indexes: usize, out: usize): usize {
  let to = putVarint(out, templates)
  let kind: u32 = 0
  for (let index: u32 = 0; index < templates; index += 1) {
    const start: usize = load<u32>(list + (<usize>index << 3))
    const length: usize = load<u32>(list + (<usize>index << 3), 4)
    copyLoosely(to, start, length)
    to += length
    store<u8>(to, NEWLINE)
    to += 1
    if (slots && !kind) kind = firstKind(start, length)
  }
  if (templates > 1) {
    memory.copy(to, indexes, rows)
    to += rows
  }
  for (let slot: u32 = 0; slot < slots; slot += 1) to = putSlot(column, slot, kind, to)
  store<u32>(kinds + (<usize>column << 2), kind)
  return to
}

function firstKind(start: usize, length: usize): u32 {
  for (let at = start; at < start + length; at += 1) if (load<u8>(at) == SLOT_MARK) return load<u8>(at, 1)
  return 0
}

function putSlot(column: u32, slot: u32, kind: u32, out: usize): usize {
  beginNumbers(slotNumbers + ((<usize>slot * <usize>rows) << 3), slotCount(slot), slotRows)
  let references: u32 = 0
  for (let other: i32 = <i32>column - 1; slot == 0 && other >= 0 && references < REFERENCES_MAX; other -= 1) {
    if (load<u32>(kinds + (<usize>other << 2)) != kind) continue
    addReference(<u32>other, currents + ((<usize>other * <usize>rows) << 3))
    references += 1
  }
  return putNumbers(out, scratch)
}
