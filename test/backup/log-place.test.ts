/** Where a read stands in the log, by what PostgreSQL says of who is still running. */
import { expect, it } from 'vitest'
import { handsOver } from '../../src/backup/log-place.ts'
import { parseVisibility } from '../../src/repository/visibility.ts'

it('a read is followed by the log once everybody older than the log has ended, named as running or not (P3)', () => {
  expect(handsOver(parseVisibility('110:110:'), '110')).toBe(true)
  expect(handsOver(parseVisibility('112:115:112,113'), '110')).toBe(true)
  expect(handsOver(parseVisibility('108:115:108'), '110')).toBe(false)
  // 109 waits for its standby, and nobody newer has ended: the list is empty.
  expect(handsOver(parseVisibility('109:109:'), '110')).toBe(false)
})
