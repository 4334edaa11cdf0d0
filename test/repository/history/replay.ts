/** Events played over rows by the simplest means: what they say of the row before is held against the rows. */
import type { HistoryEvent, RowImage } from '../../../src/repository/history/event.ts'
import type { TableManifest } from '../../../src/repository/manifest.ts'

export interface Replayed {
  /** Sorted; each under `columns`. */
  readonly lines: readonly string[]
  /** Kinds of events that did not fit, without values. */
  readonly problems: readonly string[]
}

/** @param columns that the lines have at the end; those that a row never had are NULL */
export function replayed(
  lines: readonly string[],
  table: TableManifest,
  events: readonly HistoryEvent[],
  columns: readonly string[],
): Replayed {
  const own = table.columns.map(({ name }) => name)
  const shaped = (image: RowImage) => {
    const fields = image.line.toString('utf8').split('\t')
    return columns.map((column) => fields[image.columns.indexOf(column)] ?? '\\N').join('\t')
  }
  const rows = new Map<string, number>()
  const add = (line: string, count: number) => rows.set(line, (rows.get(line) ?? 0) + count)
  for (const line of lines) add(shaped({ columns: own, line: Buffer.from(line) }), 1)
  const problems: string[] = []
  for (const { kind, before, after } of events) {
    if (kind === 'truncate') rows.clear()
    if (before) {
      if ((rows.get(shaped(before)) ?? 0) < 1) problems.push(`${kind} of a row that is not there`)
      add(shaped(before), -1)
    }
    if (after) add(shaped(after), 1)
  }
  const left = [...rows].flatMap(([line, count]) => Array.from({ length: Math.max(0, count) }, () => line))
  return { lines: left.sort(), problems }
}
