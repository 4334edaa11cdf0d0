/** Rows of a past state, by anchor or by key: proved against the roots of that state before anybody sees them (I3). */
import { keyFields } from '../../repository/fold/base-rows.ts'
import { filled } from '../../repository/fold/line-fields.ts'
import type { NetChanges } from '../../repository/fold/net-changes.ts'
import type { RepositorySecrets } from '../../repository/keyring.ts'
import type { Manifest, TableManifest } from '../../repository/manifest.ts'
import type { ChunkReader } from '../../repository/pack/chunk-reader.ts'
import type { ChangesSince, WantedRows } from '../../repository/state/changes-since.ts'
import { tableSpec } from '../../repository/table-spec.ts'
import { rowsOfPrefixes } from '../../repository/tree/anchor-ranges.ts'
import { encodeKey, firstFieldEnd } from '../../repository/tree/key.ts'
import { doesNotFit } from '../../repository/tree/misfit.ts'
import { rowText } from '../../repository/tree/rows.ts'
import { locatorSpec } from '../../repository/tree/spec.ts'
import { TreeReader } from '../../repository/tree/tree-reader.ts'
import { encodedField, fieldOf, type StoredRow, storedRow, storedRowsOf } from './stored-row.ts'

export class StoredRows {
  /** Of the snapshot, with the moment's position; its trees are the snapshot's. */
  readonly manifest: Manifest
  /** Tables that appeared after the snapshot: what they held is not known. */
  readonly added: readonly string[]
  readonly #trees: TreeRows
  readonly #since: ChangesSince | null

  /** @param since what the log says since the snapshot; null where the snapshot itself is meant */
  constructor(
    manifest: Manifest,
    chunks: ChunkReader,
    secrets: RepositorySecrets,
    since: ChangesSince | null = null,
    added: readonly string[] = [],
  ) {
    this.manifest = since?.manifest ?? manifest
    this.added = added
    this.#trees = new TreeRows(chunks, secrets)
    this.#since = since
  }

  /** Bytes of trees that came from the store so far. */
  get bytesRead(): number {
    return this.#trees.bytesRead
  }

  /** Why the rows of a table are those of the snapshot, older than the moment; null where they are those of the moment. */
  olderBecause({ resolution, resolutionReason }: TableManifest): string | null {
    if (this.#since === null || resolution === 'transaction') return null
    return resolutionReason ?? 'its changes are not captured'
  }

  /** @param anchors as fields */
  async byAnchors(table: TableManifest, anchors: readonly Buffer[]): Promise<StoredRow[]> {
    const prefixes = anchors.map((field) => encodeKey([field]))
    const base = await this.#trees.byPrefixes(table, prefixes)
    if (!this.#since?.touches(table)) return base
    const fields = new Set(anchors.map((field) => field.toString('latin1')))
    const { anchor } = tableSpec(table)
    const isWanted = (row: StoredRow) => fields.has(fieldOf(row, anchor!).toString('latin1'))
    return await this.#advanced(table, base, { keys: new Set(base.map(({ key }) => key)), anchors: fields }, isWanted)
  }

  /** @param keys of each primary key its fields */
  async byKeys(table: TableManifest, keys: readonly (readonly Buffer[])[]): Promise<StoredRow[]> {
    const base = await this.#trees.byKeys(table, keys.map(encodeKey))
    if (!this.#since?.touches(table)) return base
    const texts = new Set(keys.map(joinedFields))
    const isWanted = (row: StoredRow) => texts.has(row.key)
    return await this.#advanced(table, base, { keys: texts, anchors: new Set() }, isWanted)
  }

  /** Every row, for tables that are small enough to be looked through. */
  async *all(table: TableManifest): AsyncGenerator<StoredRow> {
    if (!this.#since?.touches(table)) return yield* this.#trees.all(table)
    yield* await this.#advanced(table, await Array.fromAsync(this.#trees.all(table)), null, () => true)
  }

  /** The rows of the snapshot, and what became of them, and of others that came to be wanted. */
  async #advanced(
    table: TableManifest,
    base: readonly StoredRow[],
    wanted: WantedRows | null,
    isWanted: (row: StoredRow) => boolean,
  ): Promise<StoredRow[]> {
    const net = this.#since!.changesOf(table, wanted)
    const before = new Map((net.isTruncated ? [] : base).map((row) => [row.key, row]))
    await this.#addBases(table, net, before)
    const left = new Map(before)
    for (const lineage of net.lineages) if (lineage.base !== null) left.delete(lineage.base)
    const rows = [...left.values()]
    for (const { base: from, line } of net.lineages) {
      if (line === null) continue
      const whole = from === null ? line : filled(line, before.get(from)!.line)
      const row = storedRow(table, Buffer.from(whole))
      if (from === null && left.has(row.key)) throw doesNotFit(table.name, 'adds a row that is there')
      rows.push(row)
    }
    return rows.filter(isWanted)
  }

  /** Rows that lay elsewhere in the snapshot, and are wanted now: what the log does not tell of them stands there. */
  async #addBases(table: TableManifest, net: NetChanges, before: Map<string, StoredRow>): Promise<void> {
    const lacking = net.lineages.flatMap(({ base }) => (base === null || before.has(base) ? [] : [base]))
    if (lacking.length === 0) return
    const keys = lacking.map((key) => encodeKey(keyFields(key)))
    for (const row of await this.#trees.byKeys(table, keys)) before.set(row.key, row)
    const isThere = lacking.every((key) => before.has(key))
    if (!isThere) throw doesNotFit(table.name, 'changes a row that is not there')
  }
}

/** Rows of a snapshot's trees. */
class TreeRows {
  readonly #chunks: ChunkReader
  readonly #secrets: RepositorySecrets

  constructor(chunks: ChunkReader, secrets: RepositorySecrets) {
    this.#chunks = chunks
    this.#secrets = secrets
  }

  get bytesRead(): number {
    return this.#chunks.bytesRead
  }

  async byPrefixes(table: TableManifest, prefixes: readonly Uint8Array[]): Promise<StoredRow[]> {
    const reader = new TreeReader(tableSpec(table), this.#chunks, this.#secrets)
    const found: StoredRow[] = []
    for await (const { rows, selected } of rowsOfPrefixes(reader, table.rows, prefixes)) {
      for (const row of storedRowsOf(table, rows, selected)) found.push(row)
    }
    return found
  }

  async byKeys(table: TableManifest, keys: readonly Uint8Array[]): Promise<StoredRow[]> {
    const spec = tableSpec(table)
    if (spec.anchor === null) return await this.byPrefixes(table, keys)
    const locator = locatorSpec(spec)
    if (!locator || !table.locator) return await this.#keysWithAnchor(table, keys)
    const reader = new TreeReader(locator, this.#chunks, this.#secrets)
    const full: Uint8Array[] = []
    for await (const { rows, selected } of rowsOfPrefixes(reader, table.locator, keys)) {
      for (const row of selected) {
        const located = storedRow(table, rowText(rows, row), locator.fieldCount)
        const key = Buffer.concat(spec.key.map((_, position) => encodedField(located, position)))
        full.push(Buffer.concat([encodedField(located, locator.fieldCount - 1), key]))
      }
    }
    return await this.byPrefixes(table, full)
  }

  async *all(table: TableManifest): AsyncGenerator<StoredRow> {
    const reader = new TreeReader(tableSpec(table), this.#chunks, this.#secrets)
    for await (const rows of reader.leaves(table.rows)) {
      const every = Array.from({ length: rows.count }, (_, row) => row)
      yield* storedRowsOf(table, rows, every)
    }
  }

  /** The key contains the anchor, so that the key says where the row lies. */
  async #keysWithAnchor(table: TableManifest, keys: readonly Uint8Array[]): Promise<StoredRow[]> {
    const { anchor, key } = tableSpec(table)
    const position = key.indexOf(anchor!)
    const full = keys.map((bytes) => Buffer.concat([encodedFields(bytes)[position]!, bytes]))
    return await this.byPrefixes(table, full)
  }
}

function joinedFields(fields: readonly Buffer[]): string {
  return fields.map((field) => field.toString('latin1')).join('\t')
}

function encodedFields(key: Uint8Array): Uint8Array[] {
  const fields: Uint8Array[] = []
  for (let rest = key; rest.length > 0; ) {
    const end = firstFieldEnd(rest)
    fields.push(rest.subarray(0, end))
    rest = rest.subarray(end)
  }
  return fields
}
