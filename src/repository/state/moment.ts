/** What an operator may ask for: a snapshot, the last change kept, a time, or a position. */
import { Failure } from '../../errors.ts'
import { type ChangeId, parseChangeId } from '../history/change-id.ts'
import { parseLsn } from '../lsn.ts'

export type Moment =
  /** The newest snapshot. */
  | { readonly kind: 'latest' }
  /** The last change kept. */
  | { readonly kind: 'now' }
  /** Before the first commit that is stamped later (P17). Microseconds since 1970. */
  | { readonly kind: 'time'; readonly timeUs: bigint }
  /** With every transaction whose commit record ends at or before it. */
  | { readonly kind: 'position'; readonly lsn: bigint }
  | { readonly kind: 'snapshot'; readonly snapshotId: string }
  /** Just before a change that `history`, `changes` or `patient timeline` listed. */
  | { readonly kind: 'before'; readonly change: ChangeId }

/** With an offset, always: at three in the morning nobody should have to know which zone a server is in. */
const TIME = /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?(Z|[+-]\d{2}:?\d{2})$/
const POSITION = /^[0-9A-Fa-f]{1,8}\/[0-9A-Fa-f]{1,8}$/
const BEFORE = 'before:'
const SNAPSHOT = /^\d{8}T\d{6}Z-[0-9a-f]+$/

/** @throws bad-usage */
export function parseMoment(text: string): Moment {
  if (text === 'latest' || text === 'now') return { kind: text }
  if (SNAPSHOT.test(text)) return { kind: 'snapshot', snapshotId: text }
  if (POSITION.test(text)) return { kind: 'position', lsn: parseLsn(text) }
  const timeUs = parseTime(text)
  if (timeUs !== null) return { kind: 'time', timeUs }
  const change = text.startsWith(BEFORE) ? parseChangeId(text.slice(BEFORE.length)) : null
  if (change !== null) return { kind: 'before', change }
  throw new Failure('bad-usage', `'${text}' is neither 'latest' nor 'now', nor a snapshot, a time or a position`, {
    hints: [
      'A time has its offset: 2026-03-01T10:15:00+08:00. A position is an LSN: 16/B3772A10.',
      '`chartkeep snapshots` lists the snapshots. Just before a change is before:CHANGE, as `chartkeep history` names it.',
    ],
  })
}

function parseTime(text: string): bigint | null {
  const [, date, minutes, seconds = '00', fraction = '', offset] = TIME.exec(text) ?? []
  if (date === undefined || minutes === undefined || offset === undefined) return null
  const clock = `${date}T${minutes}:${seconds}`
  const wallMs = Date.parse(`${clock}Z`)
  // The 30th of February would be taken for the 2nd of March.
  if (Number.isNaN(wallMs) || new Date(wallMs).toISOString().slice(0, clock.length) !== clock) return null
  const offsetMs = Date.parse(`${clock}${offset.length === 5 ? `${offset.slice(0, 3)}:${offset.slice(3)}` : offset}`)
  if (Number.isNaN(offsetMs)) return null
  return BigInt(offsetMs) * 1000n + BigInt(fraction.padEnd(6, '0'))
}

/** `2026-03-01T02:15:00.123456Z`. */
export function formatTimeUs(timeUs: bigint): string {
  const micros = ((timeUs % 1_000_000n) + 1_000_000n) % 1_000_000n
  const second = new Date(Number((timeUs - micros) / 1000n)).toISOString().slice(0, 19)
  return `${second}.${micros.toString().padStart(6, '0')}Z`
}

/** @param iso as in a manifest: ISO 8601 with up to microseconds, UTC */
export function timeUsOf(iso: string): bigint {
  const timeUs = parseTime(iso)
  if (timeUs === null) throw new Failure('repository-damaged', `a manifest says a time that is none: '${iso}'`)
  return timeUs
}
