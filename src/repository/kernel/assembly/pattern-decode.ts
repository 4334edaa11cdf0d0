/**
 * Fields from templates and numbers: tree/pattern-column.ts has the form. A column's numbers are all read when it is
 * opened; then its fields are written row by row, between those of the other columns.
 */
import { NEWLINE, separators } from './bytes'
import { DAY_MAX, DAY_MIN, DAY_SECONDS, putDate, putDigits, putTime } from './civil'
import { writeDecimal } from './integer'
import { openNumbers, readNumbers, referredColumn } from './number-decode'
import {
  DIGITS_MAX, SLOT_DATE, SLOT_DECIMAL, SLOT_DIGITS, SLOT_FRACTION, SLOT_MARK, SLOT_MOMENT, SLOTS_MAX,
} from './pattern-scan'
import { getVarint, varintEnd } from './varint'

const TEMPLATES_MAX: u64 = 255
const POINT: u32 = 0x2e
const ZERO: u32 = 0x30

/**
 * Of every column, as decode.ts has it, its codec; behind that: what its first slot had last, for each row (0: it
 * has none); indexes (0: one template only); the next number of each slot; starts of templates.
 */
export const CODEC: usize = 16
const BY_ROW: usize = 20
const INDEXES: usize = 24
const NEXT: usize = 28
const TEMPLATES: usize = NEXT + 4 * <usize>SLOTS_MAX
export const PATTERN_COLUMN_BYTES: usize = TEMPLATES + 4 * 256

/** Rows of each template, and its slots, while a column is opened: 255 times four bytes each. */
let rowCounts: usize = 0
let slotCounts: usize = 0
/** The date that was written last, as text: rows of one day lie together. */
let dateText: usize = 0
let dateDay: i64 = i64.MIN_VALUE
export const OPEN_ROOM_BYTES: usize = 2 * 4 * 256 + 32

/** `room`: OPEN_ROOM_BYTES. */
export function setOpenRoom(room: usize): void {
  rowCounts = room
  slotCounts = room + 4 * 256
  dateText = room + 2 * 4 * 256
  dateDay = i64.MIN_VALUE
}

/** Where the next numbers go; there is room for so many as the text has bytes, which each number needs one of. */
let numbersAt: usize = 0
let numbersEnd: usize = 0

/** `start`: eight bytes for each of `most` numbers, and for each field. */
export function setNumberRoom(start: usize, most: usize, fields: usize): void {
  numbersAt = start
  numbersEnd = start + ((most + fields) << 3)
}

@inline
function takeNumberRoom(count: u32): usize {
  const room = numbersAt
  numbersAt += <usize>count << 3
  return numbersAt <= numbersEnd ? room : 0
}

/** Reads a column, and all its numbers; `columnRoom` is the first column. @returns whether it is such a column */
export function openPatterns(
  column: usize, start: usize, end: usize, rows: u32, columnRoom: usize, columnBytes: usize, codec: u32,
): bool {
  const templates = getVarint(start, end)
  let at = varintEnd()
  if (!at || templates < 1 || templates > TEMPLATES_MAX) return false
  const count = <u32>templates
  for (let index: u32 = 0; index < count; index += 1) {
    store<u32>(column + TEMPLATES + (<usize>index << 2), <u32>at)
    at = templateEnd(at, end, index)
    if (!at) return false
  }
  const indexes = count > 1 ? at : 0
  store<u32>(column, <u32>indexes, INDEXES)
  store<u32>(column, 0, BY_ROW)
  if (indexes) {
    if (<usize>rows > end - at || !countRows(at, rows, count)) return false
    at += rows
  } else store<u32>(rowCounts, rows)
  let slot: u32 = 0
  for (let numbers = numbersOf(0, count); numbers >= 0; numbers = numbersOf(slot, count)) {
    if (slot == SLOTS_MAX) return false
    at = openNumbers(at, end, <u32>numbers)
    if (!at) return false
    const others = othersOf(column, columnRoom, columnBytes, codec, slot, indexes, rows)
    const values = takeNumberRoom(<u32>numbers)
    if (others == NO_COLUMN || !values || !readNumbers(<u32>numbers, others, values)) return false
    store<u32>(column + NEXT + (<usize>slot << 2), <u32>values)
    if (slot == 0 && !noteByRow(column, values, indexes, rows)) return false
    slot += 1
  }
  return at == end
}

const NO_COLUMN: usize = 1

/** For each number of the slot, what the column had that it refers to; 0 where it refers to none. */
function othersOf(
  column: usize, columnRoom: usize, columnBytes: usize, codec: u32, slot: u32, indexes: usize, rows: u32,
): usize {
  const referred = referredColumn()
  if (referred < 0) return 0
  const other = columnRoom + <usize>referred * columnBytes
  if (<usize>referred >= (column - columnRoom) / columnBytes || load<u32>(other, CODEC) != codec) return NO_COLUMN
  const byRow: usize = load<u32>(other, BY_ROW)
  if (!byRow) return NO_COLUMN
  if (!indexes) return byRow
  // Room that is only needed now: the numbers themselves come to the same place, behind what is read of it.
  const others = numbersAt
  let to = others
  for (let row: u32 = 0; row < rows; row += 1) {
    if (slotsOf(<u32>load<u8>(indexes + row)) <= slot) continue
    if (to == numbersEnd) return NO_COLUMN
    store<i64>(to, load<i64>(byRow + (<usize>row << 3)))
    to += 8
  }
  numbersAt = to
  return others
}

/** What later columns may refer to. */
function noteByRow(column: usize, values: usize, indexes: usize, rows: u32): bool {
  let byRow = values
  if (indexes) {
    byRow = takeNumberRoom(rows)
    if (!byRow) return false
    let last: i64 = 0
    let next = values
    for (let row: u32 = 0; row < rows; row += 1) {
      if (slotsOf(<u32>load<u8>(indexes + row)) > 0) {
        last = load<i64>(next)
        next += 8
      }
      store<i64>(byRow + (<usize>row << 3), last)
    }
  }
  store<u32>(column, <u32>byRow, BY_ROW)
  return true
}

@inline
function slotsOf(template: u32): u32 {
  return load<u32>(slotCounts + (<usize>template << 2))
}

/** Notes its slots. @returns where the next one begins, or 0 */
function templateEnd(start: usize, end: usize, index: u32): usize {
  let slots: u32 = 0
  for (let at = start; at < end; at += 1) {
    const byte = load<u8>(at)
    if (byte == NEWLINE) {
      store<u32>(slotCounts + (<usize>index << 2), slots)
      return at + 1
    }
    if (byte != SLOT_MARK) continue
    at += 1
    if (at >= end || !isSlot(load<u8>(at))) return 0
    slots += 1
  }
  return 0
}

function isSlot(kind: u32): bool {
  if (kind >= SLOT_MOMENT) return kind <= SLOT_FRACTION
  if (kind >= SLOT_DIGITS) return kind - SLOT_DIGITS >= 2 && kind - SLOT_DIGITS <= <u32>DIGITS_MAX
  return kind >= SLOT_DECIMAL && kind - SLOT_DECIMAL < <u32>DIGITS_MAX
}

function countRows(indexes: usize, rows: u32, templates: u32): bool {
  memory.fill(rowCounts, 0, <usize>templates << 2)
  for (let row: u32 = 0; row < rows; row += 1) {
    const index = <u32>load<u8>(indexes + row)
    if (index >= templates) return false
    const place = rowCounts + (<usize>index << 2)
    store<u32>(place, load<u32>(place) + 1)
  }
  return true
}

/** How many numbers a slot has; -1 when no template has it. */
function numbersOf(slot: u32, templates: u32): i64 {
  let numbers: i64 = -1
  for (let index: u32 = 0; index < templates; index += 1) {
    if (slotsOf(index) <= slot) continue
    numbers = max(numbers, 0) + <i64>load<u32>(rowCounts + (<usize>index << 2))
  }
  return numbers
}

/** One field to `to`. @returns its end, or 0. May write 32 bytes behind `outEnd`. */
export function takePattern(column: usize, row: u32, start: usize, outEnd: usize): usize {
  const indexes: usize = load<u32>(column, INDEXES)
  const index = indexes ? <usize>load<u8>(indexes + row) : 0
  let at: usize = load<u32>(column + TEMPLATES + (index << 2))
  let next = column + NEXT
  let to = start
  while (to < outEnd) {
    v128.store(to, v128.load(at))
    const mask = separators(at)
    const bytes: usize = mask ? <usize>ctz<u32>(mask) : 16
    at += bytes
    to += bytes
    if (!mask) continue
    if (load<u8>(at) == NEWLINE) return to
    const number: usize = load<u32>(next)
    store<u32>(next, <u32>number + 8)
    if (to >= outEnd) return 0
    to = putSlot(load<u8>(at, 1), load<i64>(number), to)
    if (!to) return 0
    at += 2
    next += 4
  }
  return 0
}

/** At most 24 bytes. @returns the end, or 0 */
function putSlot(kind: u32, number: i64, to: usize): usize {
  if (kind < SLOT_DIGITS) return writeDecimal(number, <usize>(kind - SLOT_DECIMAL), to)
  if (kind == SLOT_MOMENT) return putMoment(number, to)
  if (kind < SLOT_MOMENT) {
    const digits = <usize>(kind - SLOT_DIGITS)
    if (number < 0 || number >= powerOfTen(digits)) return 0
    putDigits(to, <u64>number, digits)
    return to + digits
  }
  if (kind == SLOT_DATE) {
    if (number < DAY_MIN || number > DAY_MAX) return 0
    putDate(to, <i32>number)
    return to + 10
  }
  return putFraction(number, to)
}

function putMoment(number: i64, to: usize): usize {
  if (number < DAY_MIN * DAY_SECONDS || number >= (DAY_MAX + 1) * DAY_SECONDS) return 0
  const sinceFirst = number - DAY_MIN * DAY_SECONDS
  const day = sinceFirst / DAY_SECONDS
  if (day != dateDay) {
    putDate(dateText, <i32>(day + DAY_MIN))
    store<u8>(dateText, 0x20, 10)
    dateDay = day
  }
  v128.store(to, v128.load(dateText))
  putTime(to + 11, <u32>(sinceFirst - day * DAY_SECONDS))
  return to + 19
}

function putFraction(number: i64, to: usize): usize {
  if (number < 1 || number > 999_999) return 0
  store<u8>(to, POINT)
  putDigits(to + 1, <u64>number, 6)
  let end = to + 7
  while (load<u8>(end - 1) == ZERO) end -= 1
  return end
}

function powerOfTen(digits: usize): i64 {
  let power: i64 = 1
  for (let count: usize = 0; count < digits; count += 1) power *= 10
  return power
}
