/**
 * The rows in which a table differs from its stored tree. The database's leaves come in key order; those that are
 * stored already come by their place alone, so that only what differs is read and compared, row by row.
 *
 *     live leaves     = = a b = =        = stored already
 *     stored leaves   = = x y z = =      x y z are merged with a b by key
 *
 * Holds one leaf of each side. A row whose anchor changed has another key: it counts as missing and as extra.
 */

import { assert } from '../errors.ts'
import { unpackPayload } from '../repository/pack/chunk.ts'
import { compareBytes } from '../repository/tree/key.ts'
import { decodeLeaf } from '../repository/tree/leaf-codec.ts'
import type { TreeEntry } from '../repository/tree/node-codec.ts'
import { parseRows, type Rows, rowAnchor, rowText } from '../repository/tree/rows.ts'
import type { TreeSpec } from '../repository/tree/spec.ts'
import type { TreeReader } from '../repository/tree/tree-reader.ts'
import type { TreeRoot } from '../repository/tree/tree-root.ts'
import type { BuiltLeaf } from '../repository/tree/tree-writer.ts'
import { fullKey } from './leaf-rows.ts'

/** Beyond this many, whose rows differ is no longer a question of single patients. */
export const ANCHORS_MAX = 10_000

export class TableDiff {
  missing = 0
  extra = 0
  changed = 0
  /** All of both sides was compared. */
  isFinished = false
  /** Of rows that differ: latin1 of their encoding. */
  readonly anchors = new Set<string>()
  anchorsComplete = true
  readonly #spec: TreeSpec
  readonly #stored: StoredRows
  #liveKey: Uint8Array | null = null

  constructor(reader: TreeReader, root: TreeRoot) {
    this.#spec = reader.spec
    this.#stored = new StoredRows(reader, root)
  }

  /** In key order. @throws repository-damaged, object-missing, store-… */
  async add(leaf: BuiltLeaf): Promise<void> {
    if (leaf.place) {
      for (let row = await this.#stored.nextBefore(leaf); row; row = await this.#stored.nextBefore(leaf))
        this.#lost(row)
    } else await this.#merge(liveRows(this.#spec, leaf))
    this.#liveKey = leaf.lastKey
  }

  /** After the last leaf: what is left of the stored rows is missing. */
  async finish(): Promise<void> {
    for (let row = await this.#stored.peek(); row; row = await this.#stored.peek()) {
      this.#lost(row)
      this.#stored.take()
    }
    this.isFinished = true
  }

  async #merge(rows: Rows): Promise<void> {
    let previous = this.#liveKey
    for (let row = 0; row < rows.count; row += 1) {
      const key = fullKey(this.#spec, rows, row, previous)
      previous = key
      let stored = await this.#stored.peek()
      while (stored && compareBytes(stored.key, key) < 0) {
        this.#lost(stored)
        this.#stored.take()
        stored = await this.#stored.peek()
      }
      if (stored && compareBytes(stored.key, key) === 0) {
        this.#stored.take()
        if (rowText(rows, row).equals(rowText(stored.rows, stored.row))) continue
        this.changed += 1
      } else this.extra += 1
      this.#differs(rows, row)
    }
  }

  #lost(stored: StoredRow): void {
    this.missing += 1
    this.#differs(stored.rows, stored.row)
  }

  #differs(rows: Rows, row: number): void {
    if (this.#spec.anchor === null) return
    if (this.anchors.size < ANCHORS_MAX) this.anchors.add(rowAnchor(rows, row).toString('latin1'))
    else this.anchorsComplete = false
  }
}

interface StoredRow {
  readonly rows: Rows
  readonly row: number
  /** With a bag's ordinal. */
  readonly key: Uint8Array
}

/** The stored tree row by row, of which whole leaves can be passed over unread. */
class StoredRows {
  readonly #reader: TreeReader
  readonly #entries: AsyncIterator<TreeEntry>
  #entry: TreeEntry | null = null
  #started = false
  #rows: Rows | null = null
  #current: StoredRow | null = null
  /** The key before the next row. */
  #before: Uint8Array | null = null

  constructor(reader: TreeReader, root: TreeRoot) {
    this.#reader = reader
    this.#entries = reader.leafEntries(root)
  }

  async peek(): Promise<StoredRow | null> {
    if (this.#current) return this.#current
    if (!this.#started) await this.#nextEntry()
    if (!this.#entry) return null
    this.#rows ??= await this.#reader.readLeaf(this.#entry)
    this.#current = this.#at(this.#rows, 0)
    return this.#current
  }

  take(): void {
    const current = this.#current
    assert(current, 'a stored row is seen before it is taken')
    this.#before = current.key
    const next = current.row + 1
    this.#current = next < current.rows.count ? this.#at(current.rows, next) : null
    if (this.#current === null) this.#passEntry()
  }

  /** Rows in front of the stored leaf that `leaf` is; null when that leaf itself is reached, and passed. */
  async nextBefore(leaf: BuiltLeaf): Promise<StoredRow | null> {
    if (!this.#started) await this.#nextEntry()
    const entry = this.#entry
    assert(entry, 'a leaf found in the stored tree is in the stored tree')
    const isIt = entry.place.packId === leaf.place?.packId && entry.place.offset === leaf.place.offset
    if (isIt) {
      // Its first row may have been looked at, to see that it lies behind the live ones; none was taken.
      assert(this.#current === null || this.#current.row === 0, 'no row of an equal leaf was merged')
      this.#before = entry.lastKey
      this.#current = null
      this.#passEntry()
      return null
    }
    const row = await this.peek()
    this.take()
    return row
  }

  #at(rows: Rows, row: number): StoredRow {
    return { rows, row, key: fullKey(this.#reader.spec, rows, row, this.#before) }
  }

  #passEntry(): void {
    this.#rows = null
    this.#started = false
  }

  async #nextEntry(): Promise<void> {
    this.#started = true
    const next = await this.#entries.next()
    this.#entry = next.done ? null : next.value
  }
}

function liveRows(spec: TreeSpec, leaf: BuiltLeaf): Rows {
  assert(leaf.payload, 'a leaf that is not stored brings its rows')
  const what = `a leaf of ${spec.name} as the database has it`
  const expected = { rows: leaf.rows, columns: spec.fieldCount, textBytes: leaf.textBytes, what }
  return parseRows(spec, decodeLeaf(unpackPayload(leaf.payload, what), expected))
}
