/** Fields from templates and numbers: tree/pattern-column.ts has the form. */
import { NEWLINE, separators } from './bytes'
import { DAY_MAX, DAY_MIN, DAY_SECONDS, putDate, putDigits, putTime } from './civil'
import { writeDecimal } from './integer'
import { nextNumber, openNumbers, OUT_OF_RANGE, referenceOf, STREAM_BYTES } from './number-decode'
import {
  DIGITS_MAX, SLOT_DATE, SLOT_DECIMAL, SLOT_DIGITS, SLOT_FRACTION, SLOT_MARK, SLOT_MOMENT, SLOTS_MAX,
} from './pattern-scan'
import { getVarint, varintEnd } from './varint'

const TEMPLATES_MAX: u64 = 255
const POINT: u32 = 0x2e
const ZERO: u32 = 0x30

/** Of every column, as decode.ts has it. */
export const CODEC: usize = 16
/** Behind that: slots, indexes (0: one template only), streams, starts of templates. */
const SLOTS: usize = 20
const INDEXES: usize = 24
const STREAMS: usize = 32
const TEMPLATES: usize = STREAMS + <usize>SLOTS_MAX * STREAM_BYTES
export const PATTERN_COLUMN_BYTES: usize = TEMPLATES + 4 * 256

/** What the last number of a column's first slot was. */
@inline export function numberOf(column: usize): i64 { return load<i64>(column, 8) }
@inline function setNumber(column: usize, number: i64): void { store<i64>(column, number, 8) }

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

/** Reads a column's head. @returns whether it is such a column */
export function openPatterns(column: usize, start: usize, end: usize, rows: u32): bool {
  setNumber(column, 0)
  const templates = getVarint(start, end)
  let at = varintEnd()
  if (!at || templates < 1 || templates > TEMPLATES_MAX) return false
  const count = <u32>templates
  for (let index: u32 = 0; index < count; index += 1) {
    store<u32>(column + TEMPLATES + (<usize>index << 2), <u32>at)
    at = templateEnd(at, end, index)
    if (!at) return false
  }
  store<u32>(column, count > 1 ? <u32>at : 0, INDEXES)
  if (count > 1) {
    if (<usize>rows > end - at || !countRows(at, rows, count)) return false
    at += rows
  } else store<u32>(rowCounts, rows)
  let slot: u32 = 0
  for (let numbers = numbersOf(0, count); numbers >= 0; numbers = numbersOf(slot, count)) {
    if (slot == SLOTS_MAX) return false
    at = openNumbers(streamOf(column, slot), at, end, <u32>numbers)
    if (!at) return false
    slot += 1
  }
  store<u32>(column, slot, SLOTS)
  return at == end
}

/** Whether all that its numbers refer to are columns of patterns before it. */
export function refersBack(column: usize, columnRoom: usize, columnBytes: usize, codec: u32): bool {
  const before = <i32>((column - columnRoom) / columnBytes)
  for (let slot: u32 = 0; slot < load<u32>(column, SLOTS); slot += 1) {
    const other = referenceOf(streamOf(column, slot))
    if (other < 0) continue
    if (other >= before || load<u32>(columnRoom + <usize>other * columnBytes, CODEC) != codec) return false
  }
  return true
}

@inline
function streamOf(column: usize, slot: u32): usize {
  return column + STREAMS + <usize>slot * STREAM_BYTES
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
    if (load<u32>(slotCounts + (<usize>index << 2)) <= slot) continue
    numbers = max(numbers, 0) + <i64>load<u32>(rowCounts + (<usize>index << 2))
  }
  return numbers
}

/** One field to `to`; `columnRoom` is the first column. @returns its end, or 0. May write 32 bytes behind `outEnd`. */
export function takePattern(column: usize, row: u32, columnRoom: usize, columnBytes: usize, start: usize, outEnd: usize): usize {
  const indexes: usize = load<u32>(column, INDEXES)
  const index = indexes ? <usize>load<u8>(indexes + row) : 0
  let at: usize = load<u32>(column + TEMPLATES + (index << 2))
  let stream = column + STREAMS
  let to = start
  let isFirst = true
  while (to < outEnd) {
    v128.store(to, v128.load(at))
    const mask = separators(at)
    const bytes: usize = mask ? <usize>ctz<u32>(mask) : 16
    at += bytes
    to += bytes
    if (!mask) continue
    if (load<u8>(at) == NEWLINE) return to
    const reference = referenceOf(stream)
    const other = reference < 0 ? 0 : numberOf(columnRoom + <usize>reference * columnBytes)
    const number = nextNumber(stream, other)
    if (number == OUT_OF_RANGE || to >= outEnd) return 0
    if (isFirst) setNumber(column, number)
    isFirst = false
    to = putSlot(load<u8>(at, 1), number, to)
    if (!to) return 0
    at += 2
    stream += STREAM_BYTES
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
