/**
 * Rows as they are now, of keys that may have changed, as the changes that lead there from a tree. What became of a row
 * is not believed but looked up: the tree says whether it had the key.
 */
import { FIELD_NOT_SENT, type LogTable } from '../change-log/change.ts'
import type { ChunkReader } from '../pack/chunk-reader.ts'
import type { DigestKeys } from '../tree/digest.ts'
import { findRows } from '../tree/find-row.ts'
import { encodeKey } from '../tree/key.ts'
import { locatorSpec, type TreeSpec } from '../tree/spec.ts'
import { TreeReader } from '../tree/tree-reader.ts'
import type { TableRoots } from './base-rows.ts'
import type { FoldChange } from './fold-change.ts'
import { asBuffer, joined } from './line-fields.ts'

export interface RowNow {
  /** Fields of the primary key, in its order. */
  readonly key: readonly Uint8Array[]
  /** Without newline; null when no row has this key. */
  readonly line: Uint8Array | null
}

export interface RowsNow {
  readonly table: LogTable
  readonly spec: TreeSpec
  readonly previous: TableRoots
  /** Each key once. Where the database takes several spellings for one key, the row's own may be another. */
  readonly rows: AsyncIterable<readonly RowNow[]>
  readonly chunks: ChunkReader
  readonly keys: DigestKeys
}

/** Rows that are looked up together: leaves that several of them are in are read once. */
const TEXT_BYTES_AT_ONCE = 32 * 1024 * 1024

/** For `foldTable`, without a tree of changes. @throws repository-damaged, object-missing, store-…, and what `rows` throws */
export async function* changesToRows(request: RowsNow): AsyncGenerator<readonly FoldChange[]> {
  let waiting: RowNow[] = []
  let bytes = 0
  for await (const batch of request.rows) {
    for (const row of batch) {
      waiting.push(row)
      bytes += ROW_BYTES + (row.line?.length ?? 0)
    }
    if (bytes < TEXT_BYTES_AT_ONCE) continue
    yield await changesOf(request, waiting)
    waiting = []
    bytes = 0
  }
  if (waiting.length > 0) yield await changesOf(request, waiting)
}

/** What a row costs beside its text, about. */
const ROW_BYTES = 400

async function changesOf(request: RowsNow, rows: readonly RowNow[]): Promise<FoldChange[]> {
  const { spec, table } = request
  const wereThere = await keysOf(
    request,
    rows.map(({ key }) => key),
  )
  const change = (kind: FoldChange['kind'], before: Buffer | null, after: Uint8Array | null): FoldChange => {
    return { kind, table, before, after, seq: 0, transaction: 0 }
  }
  return rows.flatMap(({ key, line }) => {
    if (!wereThere.has(nameOf(key))) return line === null ? [] : [change('insert', null, line)]
    const was = keyLine(spec, key)
    return line === null ? [change('delete', was, null)] : [change('update', was, line)]
  })
}

/** Those that the tree before has. */
async function keysOf({ spec, previous, chunks, keys: secrets }: RowsNow, keys: readonly (readonly Uint8Array[])[]) {
  const locator = locatorSpec(spec)
  const [where, root] = locator && previous.locator ? [locator, previous.locator] : [spec, previous.rows]
  const anchor = locator || spec.anchor === null ? null : spec.key.indexOf(spec.anchor)
  const asked = keys
    .map((key) => ({ key, encoded: encodeKey(anchor === null ? key : [key[anchor]!, ...key]) }))
    .sort((a, b) => Buffer.compare(a.encoded, b.encoded))
  const found = new Set<string>()
  const encoded = asked.map((each) => each.encoded)
  for await (const { index } of findRows(new TreeReader(where, chunks, secrets), root, encoded)) {
    found.add(nameOf(asked[index]!.key))
  }
  return found
}

function nameOf(key: readonly Uint8Array[]): string {
  return key.map((field) => asBuffer(field).toString('latin1')).join('\t')
}

/** All that is known of the row before. */
function keyLine({ fieldCount, key: fields }: TreeSpec, key: readonly Uint8Array[]): Buffer {
  const line: Uint8Array[] = Array.from({ length: fieldCount }, () => Buffer.from(FIELD_NOT_SENT))
  for (const [index, field] of fields.entries()) line[field] = key[index]!
  return joined(line)
}
