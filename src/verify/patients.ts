/**
 * Whose rows lie between two keys of a table of which the rows themselves are lost.
 *
 *     (key before, last key] ─→ anchors ─→ … along the anchor path … ─→ patient keys ─→ pseudonyms
 *
 * The table's locator knows every row's primary key and anchor, so that it knows exactly whose rows are lost. A table
 * without one has its keys in the order of anchors: then every anchor of the next table on the way that lies between
 * the two keys may be affected, which is at most a little too many. When something on the way is damaged too, or too
 * large to be read for this, the answer says that it is not complete.
 */

import type { Manifest, TableManifest } from '../repository/manifest.ts'
import { ChunkReader } from '../repository/pack/chunk-reader.ts'
import type { Repository } from '../repository/repository.ts'
import type { TableTree } from '../repository/snapshot-trees.ts'
import { tableSpec } from '../repository/table-spec.ts'
import { compareBytes, encodedBytesMax, encodeField, firstFieldEnd } from '../repository/tree/key.ts'
import { type Rows, rowAnchor, rowKey, rowText } from '../repository/tree/rows.ts'
import { locatorSpec } from '../repository/tree/spec.ts'
import { type KeyRange, TreeReader } from '../repository/tree/tree-reader.ts'
import { damageOf } from './finding.ts'

export interface LostRange {
  readonly packId: string
  /** Of rows, or of changes, of one of the snapshots that need the range. */
  readonly tree: TableTree
  /** Keys behind this one; null from the beginning. */
  readonly after: Uint8Array | null
  /** Up to this one; null to the end. */
  readonly lastKey: Uint8Array | null
  readonly rows: number
}

export interface AffectedPatients {
  readonly pseudonyms: readonly string[]
  readonly complete: boolean
  /** Patients known to be affected, also those beyond the ones named. */
  readonly count: number
}

/** A longer list helps nobody who reads a finding. */
const PATIENTS_NAMED_MAX = 1_000
/** Rows read to find out whose rows are lost, for each table. */
const ROWS_READ_MAX = 20_000_000
const TAB = 0x09

/** Encoded field values, as latin1 strings: sets compare strings, not bytes. */
type Values = Set<string>

interface Found {
  readonly values: Values
  complete: boolean
}

interface Mapped {
  /** Those of the wanted values that were found. */
  readonly found: Values
  readonly into: Values
}

export class PatientFinder {
  readonly #repository: Repository
  readonly #manifests: ReadonlyMap<string, Manifest>
  readonly #chunks: ChunkReader

  constructor(repository: Repository, manifests: readonly Manifest[]) {
    this.#repository = repository
    this.#manifests = new Map(manifests.map((manifest) => [manifest.snapshotId, manifest]))
    this.#chunks = new ChunkReader(repository.store, repository.keyring.secrets.dataKeys)
  }

  /** By pack. @throws store-… */
  async find(ranges: readonly LostRange[]): Promise<Map<string, AffectedPatients>> {
    const found = new Map<string, Found>()
    for (const group of groupsOfOneTree(ranges)) {
      for (const [packId, patients] of await this.#patientsOfTree(group)) {
        const all = found.get(packId)
        if (!all) found.set(packId, patients)
        else {
          for (const value of patients.values) all.values.add(value)
          all.complete &&= patients.complete
        }
      }
    }
    return new Map([...found].map(([packId, patients]) => [packId, this.#named(patients)]))
  }

  /** Of the patients that these anchors of a table lead to: `anchors` as latin1 of their encoding. @throws store-… */
  async ofAnchors(snapshotId: string, table: TableManifest, anchors: ReadonlySet<string>): Promise<AffectedPatients> {
    const manifest = this.#manifests.get(snapshotId)
    if (!manifest || table.anchor === null) return { pseudonyms: [], complete: true, count: 0 }
    return this.#named(await this.#follow(manifest, table.anchorPath, { values: new Set(anchors), complete: true }))
  }

  #named({ values, complete }: Found): AffectedPatients {
    const { keyring } = this.#repository
    const keys = [...values].slice(0, PATIENTS_NAMED_MAX)
    const pseudonyms = keys.map((value) => keyring.pseudonym(Buffer.from(value, 'latin1'))).sort()
    return { pseudonyms, complete: complete && values.size <= PATIENTS_NAMED_MAX, count: values.size }
  }

  async #patientsOfTree(ranges: readonly LostRange[]): Promise<Map<string, Found>> {
    const { table, snapshotId } = ranges[0]!.tree
    const manifest = this.#manifests.get(snapshotId)
    if (!manifest || table.anchor === null) return new Map()
    const anchors = await this.#anchors(manifest, ranges)
    const result = new Map<string, Found>()
    for (const [packId, found] of anchors) result.set(packId, await this.#follow(manifest, table.anchorPath, found))
    return result
  }

  async #anchors(manifest: Manifest, ranges: readonly LostRange[]): Promise<Map<string, Found>> {
    const { table, kind } = ranges[0]!.tree
    // The locator knows the rows that there are, and not those that were changed.
    const isReadable = kind === 'rows' && table.locator !== null && table.locator.rows <= ROWS_READ_MAX
    const exact = isReadable ? await this.#anchorsByLocator(table, ranges) : null
    if (exact) return exact
    const found = new Map<string, Found>()
    for (const range of ranges) {
      const all = found.get(range.packId) ?? { values: new Set<string>(), complete: true }
      found.set(range.packId, all)
      const some = await this.#anchorsByOrder(manifest, range)
      for (const value of some.values) all.values.add(value)
      all.complete &&= some.complete
    }
    return found
  }

  /** Null when the locator is damaged too. */
  async #anchorsByLocator(table: TableManifest, ranges: readonly LostRange[]): Promise<Map<string, Found> | null> {
    const spec = locatorSpec(tableSpec(table))
    if (!spec || !table.locator) return null
    const found = new Map<string, Found>(ranges.map(({ packId }) => [packId, { values: new Set(), complete: true }]))
    const reader = new TreeReader(spec, this.#chunks, this.#repository.keyring.secrets)
    try {
      for await (const rows of reader.leaves(table.locator)) {
        for (let row = 0; row < rows.count; row += 1) {
          const anchor = encodedField(rows, row, spec.fieldCount - 1)
          const range = rangeOf(ranges, Buffer.concat([anchor, rowKey(rows, row)]))
          if (range) found.get(range.packId)?.values.add(anchor.toString('latin1'))
        }
      }
      return found
    } catch (error) {
      damageOf(error)
      return null
    }
  }

  /** Every anchor that the next table on the way has between the range's two ends. */
  async #anchorsByOrder(manifest: Manifest, range: LostRange): Promise<Found> {
    const { anchorPath } = range.tree.table
    const start = range.after?.subarray(0, firstFieldEnd(range.after))
    const last = range.lastKey?.subarray(0, firstFieldEnd(range.lastKey))
    const values: Values = new Set(last ? [Buffer.from(last).toString('latin1')] : [])
    const isBetween = (value: Uint8Array) =>
      (!start || compareBytes(value, start) >= 0) && (!last || compareBytes(value, last) <= 0)
    const keyColumn = anchorPath[1] ?? anchorPath[0]!
    const sources = anchorPath[1] ? tablesNamed(manifest, keyColumn) : tablesAnchoredAt(manifest, keyColumn)
    let complete = sources.length > 0 && range.tree.kind === 'rows'
    for (const source of sources) {
      try {
        for await (const value of this.#valuesOf(source, keyColumn, anchorPath[1] === undefined)) {
          if (isBetween(value)) values.add(value.toString('latin1'))
        }
      } catch (error) {
        damageOf(error)
        complete = false
      }
    }
    // Of lost patients' own rows, those who never had a stay are known by number only.
    if (anchorPath[1] === undefined) complete &&= values.size >= range.rows
    return { values, complete }
  }

  /** Encoded values of a table's key column; or of its anchor, when the table is asked as one that refers. */
  async *#valuesOf(table: TableManifest, column: string, byAnchor: boolean): AsyncGenerator<Buffer> {
    const field = byAnchor ? null : fieldNumber(table, column)
    const reader = new TreeReader(tableSpec(table), this.#chunks, this.#repository.keyring.secrets)
    for await (const rows of reader.leaves(table.rows)) {
      for (let row = 0; row < rows.count; row += 1)
        yield field === null ? rowAnchor(rows, row) : encodedField(rows, row, field)
    }
  }

  /** From anchors to the keys of patients. */
  async #follow(manifest: Manifest, path: readonly string[], anchors: Found): Promise<Found> {
    const { patient } = manifest
    const goal = patient ? `${patient.table}.${patient.key}` : null
    if (path.at(-1) !== goal) return { values: new Set(), complete: false }
    let { values, complete } = anchors
    for (let step = 1; step + 1 < path.length; step += 2) {
      const next: Mapped = { found: new Set(), into: new Set() }
      for (const table of tablesNamed(manifest, path[step]!)) {
        complete = (await this.#mapThrough(table, [path[step]!, path[step + 1]!], values, next)) && complete
      }
      // A row that leads to nobody: whose it is cannot be said.
      complete &&= next.found.size === values.size
      values = next.into
    }
    return { values, complete }
  }

  /** For rows whose first column is among `wanted`, adds the second. False when not all of the table could be read. */
  async #mapThrough(
    table: TableManifest,
    columns: readonly [string, string],
    wanted: Values,
    mapped: Mapped,
  ): Promise<boolean> {
    const spec = tableSpec(table)
    const locator = locatorSpec(spec)
    const [from, to] = columns.map((column) => fieldNumber(table, column)) as [number, number]
    const isByKey = locator !== null && table.locator !== null && spec.key.length === 1 && spec.key[0] === from
    const useLocator = isByKey && to === spec.anchor
    const reader = new TreeReader(useLocator ? locator : spec, this.#chunks, this.#repository.keyring.secrets)
    const root = useLocator ? table.locator! : table.rows
    const fields = useLocator ? ([0, 1] as const) : ([from, to] as const)
    if (!useLocator && root.rows > ROWS_READ_MAX) return false
    try {
      for await (const rows of reader.leaves(root, useLocator ? spanOf(wanted) : undefined)) {
        for (let row = 0; row < rows.count; row += 1) {
          const key = encodedField(rows, row, fields[0]).toString('latin1')
          if (!wanted.has(key)) continue
          mapped.found.add(key)
          mapped.into.add(encodedField(rows, row, fields[1]).toString('latin1'))
        }
      }
      return true
    } catch (error) {
      damageOf(error)
      return false
    }
  }
}

function groupsOfOneTree(ranges: readonly LostRange[]): LostRange[][] {
  const groups = new Map<TableTree['root'], LostRange[]>()
  for (const range of ranges) {
    const group = groups.get(range.tree.root)
    if (group) group.push(range)
    else groups.set(range.tree.root, [range])
  }
  const byLastKey = (a: LostRange, b: LostRange) =>
    a.lastKey === null ? 1 : b.lastKey === null ? -1 : compareBytes(a.lastKey, b.lastKey)
  return [...groups.values()].map((group) => group.sort(byLastKey))
}

/** `ranges` do not overlap, and are in order. */
function rangeOf(ranges: readonly LostRange[], key: Uint8Array): LostRange | null {
  let low = 0
  let high = ranges.length
  while (low < high) {
    const middle = (low + high) >> 1
    const { lastKey } = ranges[middle]!
    if (lastKey !== null && compareBytes(lastKey, key) < 0) low = middle + 1
    else high = middle
  }
  const range = ranges[low]
  return range && (range.after === null || compareBytes(range.after, key) < 0) ? range : null
}

/** Tables of `schema.table.column`'s name, or leaf partitions of it. */
function tablesNamed(manifest: Manifest, column: string): TableManifest[] {
  const name = column.slice(0, column.lastIndexOf('.'))
  return manifest.tables.filter((table) => table.name === name || table.partitionOf === name)
}

/** Tables whose rows say directly which patient they are of. */
function tablesAnchoredAt(manifest: Manifest, patientKey: string): TableManifest[] {
  return manifest.tables.filter((table) => table.anchorPath.length === 2 && table.anchorPath[1] === patientKey)
}

function fieldNumber(table: TableManifest, column: string): number {
  const name = column.slice(column.lastIndexOf('.') + 1)
  return table.columns.findIndex((candidate) => candidate.name === name)
}

function spanOf(values: Values): KeyRange | undefined {
  const sorted = [...values].map((value) => Buffer.from(value, 'latin1')).sort(compareBytes)
  const last = sorted.at(-1)
  return last ? { start: sorted[0]!, end: Buffer.concat([last, Buffer.of(0xff)]) } : undefined
}

function encodedField(rows: Rows, row: number, field: number): Buffer {
  const line = rowText(rows, row)
  let start = 0
  for (let skipped = 0; skipped < field; skipped += 1) start = line.indexOf(TAB, start) + 1
  const tab = line.indexOf(TAB, start)
  const end = tab < 0 ? line.length - 1 : tab
  const out = Buffer.allocUnsafe(encodedBytesMax(end - start))
  return out.subarray(0, encodeField(line, start, end, out, 0))
}
