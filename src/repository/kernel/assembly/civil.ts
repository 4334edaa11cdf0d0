/** Dates as PostgreSQL prints them, as days since 1970: tree/civil-time.ts has the arithmetic's source. */

export const DAY_SECONDS: i64 = 86_400
export const DAY_MIN: i64 = -719_162
export const DAY_MAX: i64 = 2_932_896
export const NO_DATE: i32 = i32.MIN_VALUE

const ERA_DAYS: i32 = 146_097
const ZERO: u32 = 0x30
const MINUS: u32 = 0x2d
const COLON: u32 = 0x3a

@inline
export function isDigit(at: usize): bool {
  return <u32>load<u8>(at) - ZERO <= 9
}

/** -1000 and less, together with any other, where these are no digits. */
@inline
function twoDigits(at: usize): i32 {
  return isDigit(at) && isDigit(at + 1) ? <i32>(10 * (<u32>load<u8>(at) - ZERO) + (<u32>load<u8>(at, 1) - ZERO)) : -100_000
}

/** Days of `YYYY-MM-DD`; the ten bytes are there. */
export function dateAt(at: usize): i32 {
  if (load<u8>(at, 4) != MINUS || load<u8>(at, 7) != MINUS) return NO_DATE
  const year = 100 * twoDigits(at) + twoDigits(at + 2)
  const month = twoDigits(at + 5)
  const day = twoDigits(at + 8)
  if (year < 1 || month < 1 || month > 12 || day < 1 || day > monthDays(year, month)) return NO_DATE
  return daysOf(year, month, day)
}

/** Seconds of the day of `hh:mm:ss`, or less than 0; the eight bytes are there. */
export function timeAt(at: usize): i32 {
  if (load<u8>(at, 2) != COLON || load<u8>(at, 5) != COLON) return -1
  const hour = twoDigits(at)
  const minute = twoDigits(at + 3)
  const second = twoDigits(at + 6)
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) return -1
  return (hour * 60 + minute) * 60 + second
}

function monthDays(year: i32, month: i32): i32 {
  if (month == 2) return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 29 : 28
  return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31
}

/** Years from 1 on: nothing here is negative but the last difference. */
function daysOf(year: i32, month: i32, day: i32): i32 {
  const shiftedYear = month <= 2 ? year - 1 : year
  const era = shiftedYear / 400
  const yearOfEra = shiftedYear - era * 400
  const shiftedMonth = month > 2 ? month - 3 : month + 9
  const dayOfYear = (153 * shiftedMonth + 2) / 5 + day - 1
  const dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
  return era * ERA_DAYS + dayOfEra - 719_468
}

/** `digits` digits of `number`, zeros in front. */
@inline
export function putDigits(out: usize, number: u64, digits: usize): void {
  let rest = number
  for (let at = out + digits; at > out;) {
    at -= 1
    const tenth = rest / 10
    store<u8>(at, ZERO + <u32>(rest - tenth * 10))
    rest = tenth
  }
}

@inline
function putTwo(out: usize, number: u32): void {
  const tens = number / 10
  store<u8>(out, ZERO + tens)
  store<u8>(out, ZERO + number - tens * 10, 1)
}

/** Ten bytes; `days` from DAY_MIN to DAY_MAX. */
export function putDate(out: usize, days: i32): void {
  const shifted = days + 719_468
  const era = shifted / ERA_DAYS
  const dayOfEra = shifted - era * ERA_DAYS
  const yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
  const dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
  const shiftedMonth = (5 * dayOfYear + 2) / 153
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  const century = year / 100
  putTwo(out, <u32>century)
  putTwo(out + 2, <u32>(year - century * 100))
  store<u8>(out, MINUS, 4)
  putTwo(out + 5, <u32>month)
  store<u8>(out, MINUS, 7)
  putTwo(out + 8, <u32>(dayOfYear - (153 * shiftedMonth + 2) / 5 + 1))
}

/** Eight bytes; `seconds` of one day. */
export function putTime(out: usize, seconds: u32): void {
  const minutes = seconds / 60
  const hours = minutes / 60
  putTwo(out, hours)
  store<u8>(out, COLON, 2)
  putTwo(out + 3, minutes - hours * 60)
  store<u8>(out, COLON, 5)
  putTwo(out + 6, seconds - minutes * 60)
}
