/** What people say of when something happened. */
import { Failure } from '../errors.ts'
import { parseMoment } from '../repository/state/moment.ts'

/** @returns milliseconds since 1970. @throws bad-usage */
export function timeMsOfText(text: string): number {
  const moment = parseMoment(text)
  if (moment.kind === 'time') return Number(moment.timeUs / 1000n)
  throw new Failure('bad-usage', `'${text}' is not a time`, { hints: ['With its offset: 2026-03-01T10:15:00+08:00.'] })
}
