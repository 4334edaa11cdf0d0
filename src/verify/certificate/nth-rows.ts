/** Rows of a tree by their number in its order: how a drawn number becomes a row. */
import type { TableManifest } from '../../repository/manifest.ts'
import type { Repository } from '../../repository/repository.ts'
import { tableSpec } from '../../repository/table-spec.ts'
import { rowText } from '../../repository/tree/rows.ts'
import { TreeReader } from '../../repository/tree/tree-reader.ts'
import { type StoredRow, storedRow } from '../../restore/patient/stored-row.ts'

/** @param numbers from 0, in ascending order. @throws repository-damaged, object-missing, store-… */
export async function nthRows(
  repository: Repository,
  table: TableManifest,
  numbers: readonly number[],
): Promise<StoredRow[]> {
  const reader = new TreeReader(tableSpec(table), repository.chunkReader(), repository.keyring.secrets)
  const found: StoredRow[] = []
  let start = 0
  for await (const entry of reader.leafEntries(table.rows)) {
    const end = start + entry.rows
    const wanted = numbers.filter((number) => number >= start && number < end)
    if (wanted.length > 0) {
      const rows = await reader.readLeaf(entry)
      for (const number of wanted) found.push(storedRow(table, rowText(rows, number - start), table.columns.length))
    }
    start = end
    if (found.length === numbers.length) break
  }
  return found
}
