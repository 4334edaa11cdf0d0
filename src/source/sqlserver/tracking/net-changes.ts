/**
 * Net changes by Change Tracking, within the SNAPSHOT transaction of a consistent read. It "has been designed to work well
 * with snapshot isolation" ("Work with change tracking"); what it tells is believed only as far as it can be held against
 * something else:
 *
 * - Before the read begins, a token is committed into a tracked table of ours. The version of that commit is where the
 *   next read carries on: whatever committed in between is told twice, which does no harm. Next time the token must be
 *   there (else the database was put back, F14), still tracked (else tracking was off, or clean-up has passed it, F9), and
 *   of the same version (else versions were counted anew).
 * - Where a table's tracking began is looked at before the token is left, so that it lies below that version, and one that
 *   begins anew cannot have the same: the minimum valid version may be equal where nothing was committed in between.
 * - The minimum valid version and the token are looked at before the changes are read and after (F15).
 * - The caller counts the rows: a key that was not told is missing there.
 */
import type { NetChanges, NetMark, NetRefusal, NetTable } from '../../net-contract.ts'
import type { CatalogTable } from '../introspect.ts'
import { definitionOf, formatMark, parseMark, type TrackingMark } from './mark.ts'
import type { Tracked, TrackingQuestions } from './questions.ts'

/** What was done before the read begins. */
export interface Prepared {
  readonly token: string
  readonly tracked: ReadonlyMap<string, Tracked>
}

/** @param token 32 hexadecimal digits that nobody has used. @returns null where there is no Change Tracking */
export async function prepareNetChanges(questions: TrackingQuestions, token: string): Promise<Prepared | null> {
  // The look comes first: what is altered after it makes a mark that fits nothing any more.
  const tracked = await questions.tracked()
  if (tracked === null) return null
  await questions.leave(token)
  return { token, tracked }
}

/** Where the read stands that has just begun; null where that cannot be told. */
export async function standingOf(questions: TrackingQuestions, { token }: Prepared): Promise<bigint | null> {
  return (await questions.reached(token)).version
}

/** @param version as `standingOf` gave it. @param tables all that the read has */
export async function openNetChanges(
  questions: TrackingQuestions,
  { token, tracked, version }: Prepared & { readonly version: bigint },
  tables: readonly CatalogTable[],
): Promise<NetChanges | null> {
  const now = await questions.tracked()
  if (now === null) return null
  const marks = new Map<string, NetMark>()
  for (const table of tables) {
    const known = tracked.get(table.info.oid)
    if (known === undefined || table.info.primaryKey.length === 0) continue
    marks.set(table.info.name, formatMark({ version, token, definition: definitionOf(table, known) }))
  }
  const byName = new Map(tables.map((table) => [table.info.name, table]))
  return { marks, since: (name, mark) => since(questions, byName.get(name), { mark, now }) }
}

interface Since {
  readonly mark: NetMark
  /** Looked at since the read began. */
  readonly now: ReadonlyMap<string, Tracked>
}

async function since(
  questions: TrackingQuestions,
  table: CatalogTable | undefined,
  { mark: text, now }: Since,
): Promise<NetTable | NetRefusal> {
  const mark = parseMark(text)
  const tracked = table && now.get(table.info.oid)
  if (mark === null) return { refused: 'where the last snapshot stands in Change Tracking is not understood' }
  if (table === undefined || tracked === undefined) return { refused: 'Change Tracking does not follow it' }
  if (definitionOf(table, tracked) !== mark.definition) {
    return { refused: 'it was altered, truncated or tracked anew since the last snapshot' }
  }
  const doubt = await doubtOf(questions, table, mark)
  if (doubt !== null) return doubt
  return {
    since: `version ${mark.version}`,
    rows: questions.changes(table, mark.version),
    confirm: async () => (await doubtOf(questions, table, mark)) ?? (await questions.count(table)),
  }
}

async function doubtOf(
  questions: TrackingQuestions,
  table: CatalogTable,
  { token, version }: TrackingMark,
): Promise<NetRefusal | null> {
  const { isThere, version: known } = await questions.reached(token)
  if (!isThere) return { refused: 'the database was put back to before the last snapshot, or our mark in it is gone' }
  if (known === null) return { refused: `Change Tracking does not reach back to version ${version}` }
  if (known !== version) return { refused: 'Change Tracking has counted its versions anew since the last snapshot' }
  const minimum = await questions.minValid(table)
  if (minimum === null) return { refused: 'VIEW CHANGE TRACKING on it is not granted' }
  if (minimum > version) return { refused: `its changes are kept from version ${minimum} on, wanted from ${version}` }
  return null
}
