/** Rows of a snapshot by primary key: keys of no row are passed over. What is read is proved against the tree's root. */

import { fieldsOf } from '../fold/line-fields.ts'
import type { TableManifest } from '../manifest.ts'
import type { ChunkReader } from '../pack/chunk-reader.ts'
import { tableSpec } from '../table-spec.ts'
import type { DigestKeys } from '../tree/digest.ts'
import { findRows } from '../tree/find-row.ts'
import { compareBytes, encodeKey } from '../tree/key.ts'
import { locatorSpec, type TreeSpec } from '../tree/spec.ts'
import { TreeReader } from '../tree/tree-reader.ts'

export interface SnapshotReader {
  readonly chunks: ChunkReader
  readonly keys: DigestKeys
}

/** A primary key as text: its fields as latin1, tab between. */
export type KeyText = string

export function keyTextOf(spec: TreeSpec, line: Buffer): KeyText {
  const fields = fieldsOf(line)
  return spec.key.map((field) => fields[field]!.toString('latin1')).join('\t')
}

/** @returns lines without newline. @throws repository-damaged, object-missing, store-… */
export async function rowsByKey(
  table: TableManifest,
  wanted: Iterable<KeyText>,
  { chunks, keys }: SnapshotReader,
): Promise<Map<KeyText, Buffer>> {
  const spec = tableSpec(table)
  const texts = [...new Set(wanted)]
  const full = await treeKeys(table, spec, texts, { chunks, keys })
  const sorted = [...full].sort((a, b) => compareBytes(a.key, b.key))
  const reader = new TreeReader(spec, chunks, keys)
  const found = new Map<KeyText, Buffer>()
  const asked = sorted.map(({ key }) => key)
  for await (const { index, line } of findRows(reader, table.rows, asked)) {
    found.set(sorted[index]!.text, Buffer.from(line.subarray(0, -1)))
  }
  return found
}

interface TreeKey {
  readonly text: KeyText
  readonly key: Uint8Array
}

/** The anchor comes first; where the primary key does not have it, the locator does (P1). */
async function treeKeys(
  table: TableManifest,
  spec: TreeSpec,
  texts: readonly KeyText[],
  { chunks, keys }: SnapshotReader,
): Promise<TreeKey[]> {
  if (spec.anchor === null) return texts.map((text) => ({ text, key: encodeKey(fieldsOfKey(text)) }))
  const inKey = spec.key.indexOf(spec.anchor)
  if (inKey >= 0) {
    return texts.map((text) => {
      const fields = fieldsOfKey(text)
      return { text, key: encodeKey([fields[inKey]!, ...fields]) }
    })
  }
  const locator = locatorSpec(spec)
  if (!locator || !table.locator) return []
  const asked = texts
    .map((text) => ({ text, key: encodeKey(fieldsOfKey(text)) }))
    .sort((a, b) => compareBytes(a.key, b.key))
  const reader = new TreeReader(locator, chunks, keys)
  const found: TreeKey[] = []
  const located = findRows(
    reader,
    table.locator,
    asked.map(({ key }) => key),
  )
  for await (const { index, line } of located) {
    const anchor = Buffer.from(fieldsOf(line.subarray(0, -1)).at(-1)!)
    const { text } = asked[index]!
    found.push({ text, key: encodeKey([anchor, ...fieldsOfKey(text)]) })
  }
  return found
}

export function fieldsOfKey(text: KeyText): Buffer[] {
  return text.split('\t').map((field) => Buffer.from(field, 'latin1'))
}
