/** The recovery fork that a database's log is on, as the number that a position's timeline is. */

const NUMBER_MAX = 0x7fff_ffff

/** Of the digits of its identifier: never 0, and 1 where the server tells none. */
export function forkNumber(guid: string): number {
  const digits = guid.replaceAll('-', '').slice(0, 8)
  return digits === '' ? 1 : Number.parseInt(digits, 16) & NUMBER_MAX || 1
}
