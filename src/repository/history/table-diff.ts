/**
 * In which rows a table differs between two snapshots, each row told once: one whose anchor changed lies at two places of the
 * trees, and is told where it was. Its other place is found by its key, so that memory does not grow with the difference.
 */
import type { TableManifest } from '../manifest.ts'
import { tableSpec } from '../table-spec.ts'
import { TreeReader } from '../tree/tree-reader.ts'
import { keyTextOf, rowsByKey, type SnapshotReader } from './rows-by-key.ts'
import { type DiffOptions, diffTrees, type RowDifference, type TreeSide } from './tree-diff.ts'

/** Rows of which the other tree is asked at a time. */
const LOOKED_UP_AT_ONCE = 1_000

/**
 * In order of anchor and key. Both are of one table, with the same key and the same column as its anchor; null is no rows.
 * @throws repository-damaged, object-missing, store-…
 */
export function diffTables(
  before: TableManifest | null,
  after: TableManifest | null,
  reader: SnapshotReader,
  options: DiffOptions,
): AsyncGenerator<RowDifference> {
  const differences = diffTrees(before && sideOf(before, reader), after && sideOf(after, reader), options)
  return before && after && isFoundByKeyAlone(before) ? told({ before, after, reader }, differences) : differences
}

interface Tables {
  readonly before: TableManifest
  readonly after: TableManifest
  readonly reader: SnapshotReader
}

async function* told(tables: Tables, differences: AsyncIterable<RowDifference>): AsyncGenerator<RowDifference> {
  const [oldSpec, newSpec] = [tableSpec(tables.before), tableSpec(tables.after)]
  for await (const batch of batchesOf(differences)) {
    const gone = batch.flatMap(({ before, after }) => (before && !after ? [keyTextOf(oldSpec, before)] : []))
    const come = batch.flatMap(({ before, after }) => (after && !before ? [keyTextOf(newSpec, after)] : []))
    const movedTo = await rowsByKey(tables.after, gone, tables.reader)
    const movedFrom = await rowsByKey(tables.before, come, tables.reader)
    for (const { before, after } of batch) {
      if (before) yield { before, after: after ?? movedTo.get(keyTextOf(oldSpec, before)) ?? null }
      else if (!movedFrom.has(keyTextOf(newSpec, after!))) yield { before, after }
    }
  }
}

function isFoundByKeyAlone({ primaryKey, anchor }: TableManifest): boolean {
  return primaryKey.length > 0 && anchor !== null && !primaryKey.includes(anchor)
}

async function* batchesOf(differences: AsyncIterable<RowDifference>): AsyncGenerator<readonly RowDifference[]> {
  let batch: RowDifference[] = []
  for await (const difference of differences) {
    batch.push(difference)
    if (batch.length < LOOKED_UP_AT_ONCE) continue
    yield batch
    batch = []
  }
  yield batch
}

function sideOf(table: TableManifest, { chunks, keys }: SnapshotReader): TreeSide {
  return { reader: new TreeReader(tableSpec(table), chunks, keys), root: table.rows }
}
