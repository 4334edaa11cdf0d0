/**
 * What each leaf of some packs must be, gathered from the trees before the packs are read, so that every pack is read
 * once and from its beginning, whichever tables and snapshots share it.
 *
 * For each pack a run of records, some seventy bytes a leaf:
 *
 *     varint form · flags (1: last of its tree, 2: a key before) · varint offset, stored bytes, rows, text bytes
 *     digest (32) · varint length, last key · [varint length, key before]
 *
 * A leaf that two trees have in different places has two records, and is held to both.
 */
import { DIGEST_BYTES } from '../repository/crypto/provider.ts'
import { type SnapshotTree, specId } from '../repository/snapshot-trees.ts'
import type { TreeEntry } from '../repository/tree/node-codec.ts'
import type { TreeSpec } from '../repository/tree/spec.ts'
import { ByteReader, ByteWriter } from '../repository/tree/varint.ts'
import type { Seat } from './walk.ts'

export interface LeafForm {
  readonly spec: TreeSpec
  /** The spec of the table whose locator lines are summed; null where there is no locator. */
  readonly summed: 'derived' | 'own' | null
}

export interface LeafExpectation {
  readonly form: number
  readonly entry: TreeEntry
  readonly after: Uint8Array | null
  readonly isLast: boolean
}

const LAST = 1
const HAS_AFTER = 2

export class LeafExpectations {
  readonly forms: LeafForm[] = []
  readonly #packIds: ReadonlySet<string>
  readonly #formNumbers = new Map<string, number>()
  readonly #packs = new Map<string, PackRecords>()

  /** Of the leaves that lie in these packs. */
  constructor(packIds: Iterable<string>) {
    this.#packIds = new Set(packIds)
  }

  add(seat: Seat): void {
    const { packId } = seat.entry.place
    if (!this.#packIds.has(packId)) return
    let records = this.#packs.get(packId)
    if (!records) {
      records = new PackRecords()
      this.#packs.set(packId, records)
    }
    records.add(seat, this.#form(seat.tree))
  }

  /** In the form in which a worker gets them. */
  of(packId: string): Uint8Array {
    return this.#packs.get(packId)?.bytes() ?? new Uint8Array()
  }

  #form(tree: SnapshotTree): number {
    const id = specId(tree.spec)
    const known = this.#formNumbers.get(id)
    if (known !== undefined) return known
    const summed = tree.kind === 'locator' ? 'own' : tree.kind === 'rows' && tree.table?.locator ? 'derived' : null
    this.#formNumbers.set(id, this.forms.length)
    return this.forms.push({ spec: tree.spec, summed }) - 1
  }
}

class PackRecords {
  readonly #out = new ByteWriter(4096)
  /** By offset: where the last record for it lies. */
  readonly #lastRecord = new Map<number, { start: number; end: number }>()

  add(seat: Seat, form: number): void {
    const record = encodeRecord(seat, form)
    const { offset } = seat.entry.place
    const last = this.#lastRecord.get(offset)
    if (last && record.equals(this.#out.done().subarray(last.start, last.end))) return
    const start = this.#out.length
    this.#out.bytes(record)
    this.#lastRecord.set(offset, { start, end: this.#out.length })
  }

  bytes(): Uint8Array {
    return Uint8Array.from(this.#out.done())
  }
}

function encodeRecord({ entry, after, isLast }: Seat, form: number): Buffer {
  const out = new ByteWriter(128)
  out.varint(form)
  out.byte((isLast ? LAST : 0) + (after ? HAS_AFTER : 0))
  for (const number of [entry.place.offset, entry.place.storedBytes, entry.rows, entry.textBytes]) out.varint(number)
  out.bytes(entry.digest)
  for (const key of after ? [entry.lastKey, after] : [entry.lastKey]) {
    out.varint(key.length)
    out.bytes(key)
  }
  return out.done()
}

export function* decodeExpectations(bytes: Uint8Array, packId: string): Generator<LeafExpectation> {
  const reader = new ByteReader(bytes, `the expectations of pack ${packId}`)
  while (reader.rest > 0) {
    const form = reader.varint()
    const flags = reader.byte()
    const place = { packId, offset: reader.varint(), storedBytes: reader.varint() }
    const numbers = { rows: reader.varint(), textBytes: reader.varint() }
    const digest = Uint8Array.from(reader.bytes(DIGEST_BYTES))
    const lastKey = reader.bytes(reader.varint())
    const after = (flags & HAS_AFTER) !== 0 ? reader.bytes(reader.varint()) : null
    yield { form, entry: { digest, ...numbers, lastKey, place }, after, isLast: (flags & LAST) !== 0 }
  }
}
