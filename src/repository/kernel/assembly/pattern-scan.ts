/**
 * One field as a template and numbers: tree/pattern.ts has the rules, and this makes the same of them. A field ends at
 * a tab or a newline, so that no digit stands behind its end.
 */
import { DAY_SECONDS, dateAt, isDigit, NO_DATE, timeAt } from './civil'

export const SLOT_MARK: u32 = 0x09
export const SLOT_DECIMAL: u32 = 0x10
export const SLOT_DIGITS: u32 = 0x20
export const SLOT_MOMENT: u32 = 0x30
export const SLOT_DATE: u32 = 0x31
export const SLOT_FRACTION: u32 = 0x32
export const SLOTS_MAX: u32 = 8
export const DIGITS_MAX: usize = 15
/** A moment brings two numbers at once. */
export const SCAN_NUMBERS: usize = 10
export const FIELD_BYTES_MAX: usize = 1024
/** Each slot is two bytes, and a number at least one. */
export const TEMPLATE_BYTES_MAX: usize = 1088

const FRACTION_DIGITS: usize = 6
const DATE_BYTES: usize = 10
const MOMENT_BYTES: usize = 19
const MINUS: u32 = 0x2d
const PLUS: u32 = 0x2b
const POINT: u32 = 0x2e
const SPACE: u32 = 0x20
const COLON: u32 = 0x3a
const ZERO: u32 = 0x30

let fieldStart: usize = 0
let fieldEnd: usize = 0
let at: usize = 0
let template: usize = 0
let numbers: usize = 0
let numberCount: u32 = 0

export function scannedNumbers(): u32 { return numberCount }

/** `out` has TEMPLATE_BYTES_MAX, `numberRoom` eight bytes for each of SCAN_NUMBERS. @returns the template's end, or 0 */
export function scanField(start: usize, end: usize, out: usize, numberRoom: usize): usize {
  if (end - start > FIELD_BYTES_MAX) return 0
  fieldStart = start
  fieldEnd = end
  at = start
  template = out
  numbers = numberRoom
  numberCount = 0
  while (at < end) {
    const signed = at == start && load<u8>(at) == MINUS && isDigit(at + 1)
    if (!signed && !isDigit(at)) {
      copyToDigit()
      continue
    }
    if (signed || !takeMoment()) takeNumber(signed)
    if (numberCount > SLOTS_MAX) return 0
  }
  return template
}

/** Sixteen bytes, as far as none is a digit. */
@inline
function copyToDigit(): void {
  const bytes = v128.load(at)
  const digits = <u32>i8x16.bitmask(i8x16.le_u(i8x16.sub(bytes, i8x16.splat(0x30)), i8x16.splat(9)))
  v128.store(template, bytes)
  const count = min(digits ? <usize>ctz<u32>(digits) : 16, fieldEnd - at)
  template += count
  at += count
}

function digitsFrom(position: usize): usize {
  let end = position
  while (isDigit(end)) end += 1
  return end - position
}

function literal(bytes: usize): void {
  for (let count: usize = 0; count < bytes; count += 1) store<u8>(template + count, load<u8>(at + count))
  template += bytes
  at += bytes
}

function slot(kind: u32, number: i64, bytes: usize): void {
  store<u8>(template, SLOT_MARK)
  store<u8>(template, kind, 1)
  template += 2
  store<i64>(numbers + (<usize>numberCount << 3), number)
  numberCount += 1
  at += bytes
}

/** Which of sixteen bytes are digits in `YYYY-MM-DD hh:mm`. */
const MOMENT_DIGITS: u32 = 0b1101_1011_0110_1111

let cachedDate: u64 = 0
let cachedDay: i32 = NO_DATE

function takeMoment(): bool {
  if (at + DATE_BYTES > fieldEnd || load<u8>(at, 4) != MINUS || isDigit(at + DATE_BYTES)) return false
  const day = cachedDateAt(at)
  if (day == NO_DATE) return false
  const second = at + MOMENT_BYTES <= fieldEnd ? secondAt(at) : -1
  if (second < 0) {
    slot(SLOT_DATE, <i64>day, DATE_BYTES)
    return true
  }
  slot(SLOT_MOMENT, <i64>day * DAY_SECONDS + <i64>second, MOMENT_BYTES)
  takeFraction()
  takeZone()
  return true
}

/** Rows of one day lie together; the century of one is that of all. */
@inline
function cachedDateAt(position: usize): i32 {
  const date = load<u64>(position, 2)
  if (date == cachedDate && load<u16>(position) == 0x3032) return cachedDay
  const day = dateAt(position)
  if (day == NO_DATE || load<u16>(position) != 0x3032) return day
  cachedDate = date
  cachedDay = day
  return day
}

@inline
function secondAt(position: usize): i32 {
  const bytes = v128.load(position)
  const digits = <u32>i8x16.bitmask(i8x16.le_u(i8x16.sub(bytes, i8x16.splat(0x30)), i8x16.splat(9)))
  if (digits != MOMENT_DIGITS || load<u8>(position, 10) != SPACE || isDigit(position + MOMENT_BYTES)) return -1
  return timeAt(position + DATE_BYTES + 1)
}

function takeFraction(): void {
  if (load<u8>(at) != POINT) return
  const count = digitsFrom(at + 1)
  if (count < 1 || count > FRACTION_DIGITS || load<u8>(at + count) == ZERO) return
  let number = valueOf(at + 1, count)
  for (let digit = count; digit < FRACTION_DIGITS; digit += 1) number *= 10
  slot(SLOT_FRACTION, number, 1 + count)
}

function takeZone(): void {
  const sign = load<u8>(at)
  if (sign != PLUS && sign != MINUS) return
  let end = at + 1
  while (isDigit(end) || load<u8>(end) == COLON) end += 1
  literal(end - at)
}

function takeNumber(signed: bool): void {
  const start = signed ? at + 1 : at
  let value: i64 = 0
  let end = start
  for (; isDigit(end); end += 1) value = value * 10 + <i64>(<u32>load<u8>(end) - ZERO)
  const whole = end - start
  if (whole > DIGITS_MAX) return literal(end - at)
  if (whole > 1 && load<u8>(start) == ZERO) {
    literal(start - at)
    return slot(SLOT_DIGITS + <u32>whole, value, whole)
  }
  let places: usize = 0
  if (load<u8>(end) == POINT && !(start > fieldStart && load<u8>(start - 1) == POINT)) {
    let behind = value
    let last = end + 1
    for (; isDigit(last); last += 1) behind = behind * 10 + <i64>(<u32>load<u8>(last) - ZERO)
    const digits = last - end - 1
    if (digits && whole + digits <= DIGITS_MAX && load<u8>(last) != POINT) {
      places = digits
      value = behind
      end = last
    }
  }
  if (value == 0) literal(start - at)
  slot(SLOT_DECIMAL + <u32>places, signed ? -value : value, end - at)
}

function valueOf(start: usize, digits: usize): i64 {
  let value: i64 = 0
  for (let digit = start; digit < start + digits; digit += 1) value = value * 10 + <i64>(<u32>load<u8>(digit) - ZERO)
  return value
}
