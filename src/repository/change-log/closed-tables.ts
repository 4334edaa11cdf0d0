/**
 * Which tables a change of the catalog closes: whatever changes rows without a message in the stream shows there (P2,
 * P7), and from the last look before it the table's past is not known.
 */
import type { TableClosing } from './segment-header.ts'

/** A table's past cannot be told from `from` on, until a snapshot reads it in full. */
export interface ClosedTable extends TableClosing {
  /** The segment that says so. */
  readonly segment: number
  readonly from: bigint
  /** Until then at the latest it had happened. */
  readonly noticedAt: bigint
}

/** By table: hex digests of what its rows hang on beside the stream. Sorted by name. */
export function tablesClosedBy(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): readonly TableClosing[] {
  const names = [...new Set([...before.keys(), ...after.keys()])].sort()
  return names.flatMap((table) => {
    const [then, now] = [before.get(table), after.get(table)]
    if (then === now) return []
    if (then === undefined) return [{ table, reason: 'is new' }]
    return [{ table, reason: now === undefined ? 'is not there any more' : 'its definition or publication changed' }]
  })
}
