/**
 * One patient's rows in all tables whose anchors lead to the patient.
 *
 *     patient's key ─→ stays of the patient ─→ rows of those stays …        (anchor path, as snapshots are laid out)
 *
 * A stay that was the patient's at any moment of the interval counts as the patient's in all of it: what was moved to the
 * wrong patient, or away, is what one looks for. Stays come to light while the log is read; then all is read again. So it
 * is when rows turn out to be the patient's behind a gap: what the log said of them before was somebody else's.
 * The log tells most changes without the anchor (P1), so that rows are followed by their keys, from the snapshot on.
 */
import type { LoggedChange } from '../change-log/change.ts'
import { asBuffer, fieldOf, fieldsOf, isUnsent } from '../fold/line-fields.ts'
import type { Manifest, TableManifest } from '../manifest.ts'
import { tableSpec } from '../table-spec.ts'
import { rowsOfPrefixes } from '../tree/anchor-ranges.ts'
import { encodeKey } from '../tree/key.ts'
import { rowText } from '../tree/rows.ts'
import type { TreeSpec } from '../tree/spec.ts'
import { TreeReader } from '../tree/tree-reader.ts'
import type { HistoryEvent } from './event.ts'
import type { Question } from './question.ts'
import { type KeyText, keyTextOf, rowsByKey, type SnapshotReader } from './rows-by-key.ts'

const NULL_FIELD = '\\N'

export class PatientQuestion implements Question {
  readonly isAll = false
  hasGrown = false
  /** Rows came to be followed too late: all is to be read once more. */
  isLate = false
  readonly #patient: string
  /** By table: values of its anchor that are the patient's, latin1 of the field. Kept when all is read again. */
  readonly #anchors = new Map<string, Set<string>>()
  /** By table: keys that rows had before they became the patient's. Kept, too. */
  readonly #origins = new Map<string, Set<KeyText>>()
  /** By table: keys of rows that are, or were, the patient's. */
  #followed = new Map<string, Set<KeyText>>()
  /** The newest snapshot that was met, and the first. */
  #manifest: Manifest | null = null
  #firstId: string | null = null

  /** @param patient the patient's key as a field of a line */
  constructor(patient: Buffer) {
    this.#patient = patient.toString('latin1')
  }

  begin(): void {
    this.#followed = new Map([...this.#origins].map(([table, keys]) => [table, new Set(keys)]))
    this.#manifest = null
    this.#firstId = null
    this.hasGrown = false
    this.isLate = false
  }

  follow({ name }: TableManifest, keys: Iterable<KeyText>): void {
    const origins = setOf(this.#origins, name)
    for (const key of keys) {
      if (origins.has(key)) continue
      origins.add(key)
      this.isLate = true
    }
  }

  tables(manifest: Manifest): readonly TableManifest[] {
    const goal = manifest.patient ? `${manifest.patient.table}.${manifest.patient.key}` : null
    const leading = manifest.tables.filter(({ anchor, anchorPath }) => anchor !== null && anchorPath.at(-1) === goal)
    // Each needs the rows of those before it.
    return leading.sort((a, b) => a.anchorPath.length - b.anchorPath.length)
  }

  wants({ before, after, kind }: LoggedChange, table: TableManifest, spec: TreeSpec): boolean {
    if (kind === 'truncate') return true
    const followed = setOf(this.#followed, table.name)
    const old = keyTextOf(spec, asBuffer((before ?? after)!))
    const isOurs = after !== null && this.#anchorsOf(table).has(anchorOf(spec, asBuffer(after)))
    const now = after === null ? old : keyTextOf(spec, asBuffer(after))
    const isFollowed = followed.has(old)
    // Also who comes to a key that a row of the patient had: what is done to that key later is theirs.
    if (!isFollowed && !isOurs && !followed.has(now)) return false
    if (!isFollowed && kind === 'update') {
      setOf(this.#origins, table.name).add(old)
      this.hasGrown = true
    }
    followed.add(now)
    if (isOurs && this.#manifest && this.#learn(this.#manifest, table, [asBuffer(after)])) this.hasGrown = true
    return true
  }

  keys({ name }: TableManifest): Iterable<KeyText> {
    return setOf(this.#followed, name)
  }

  async rows(manifest: Manifest, table: TableManifest, reader: SnapshotReader): Promise<ReadonlyMap<KeyText, Buffer>> {
    this.#firstId ??= manifest.snapshotId
    if (this.#manifest === null || manifest.snapshotId > this.#manifest.snapshotId) this.#manifest = manifest
    const spec = tableSpec(table)
    const lines = await linesOf(table, spec, [...this.#anchorsOf(table)], reader)
    if (this.#learn(manifest, table, lines) && manifest.snapshotId !== this.#firstId) this.hasGrown = true
    if (spec.key.length === 0) return numbered(lines)
    const rows = new Map(lines.map((line) => [keyTextOf(spec, line), line]))
    const followed = setOf(this.#followed, table.name)
    const elsewhere = [...followed].filter((key) => !rows.has(key))
    for (const key of rows.keys()) followed.add(key)
    for (const [key, line] of await rowsByKey(table, elsewhere, reader)) rows.set(key, line)
    return rows
  }

  shows({ table: name, kind, before, after }: HistoryEvent): boolean {
    const table = this.#manifest?.tables.find((each) => each.name === name)
    if (kind === 'truncate') return setOf(this.#followed, name).size > 0
    const anchors = setOf(this.#anchors, name)
    return [before, after].some((image) => {
      const field = image && table ? image.columns.indexOf(table.anchor ?? '') : -1
      return image !== null && (field < 0 || anchors.has(fieldOf(image.line, field).toString('latin1')))
    })
  }

  /** What leads from these rows of the patient to rows of other tables. @returns whether any of it was not known */
  #learn(manifest: Manifest, lead: TableManifest, lines: readonly Buffer[]): boolean {
    let isNew = false
    for (const table of this.tables(manifest)) {
      const through = table.anchorPath.length > 2 ? table.anchorPath[1]! : null
      if (through === null || ![lead.name, lead.partitionOf].includes(through.slice(0, through.lastIndexOf('.'))))
        continue
      const field = lead.columns.findIndex(({ name }) => name === through.slice(through.lastIndexOf('.') + 1))
      const known = this.#anchorsOf(table)
      for (const line of field < 0 ? [] : lines) {
        const value = fieldsOf(line)[field]!
        const text = value.toString('latin1')
        if (isUnsent(value) || text === NULL_FIELD || known.has(text)) continue
        known.add(text)
        isNew = true
      }
    }
    return isNew
  }

  #anchorsOf({ name, anchorPath }: TableManifest): Set<string> {
    const anchors = setOf(this.#anchors, name)
    if (anchorPath.length <= 2) anchors.add(this.#patient)
    return anchors
  }
}

function anchorOf(spec: TreeSpec, line: Buffer): string {
  return fieldOf(line, spec.anchor!).toString('latin1')
}

async function linesOf(
  table: TableManifest,
  spec: TreeSpec,
  anchors: readonly string[],
  { chunks, keys }: SnapshotReader,
): Promise<Buffer[]> {
  const prefixes = anchors.map((anchor) => encodeKey([Buffer.from(anchor, 'latin1')]))
  const lines: Buffer[] = []
  const reader = new TreeReader(spec, chunks, keys)
  for await (const { rows, selected } of rowsOfPrefixes(reader, table.rows, prefixes)) {
    for (const row of selected) lines.push(Buffer.from(rowText(rows, row).subarray(0, -1)))
  }
  return lines
}

/** Rows without a key: equal ones are told apart by counting. */
function numbered(lines: readonly Buffer[]): Map<KeyText, Buffer> {
  const counts = new Map<string, number>()
  return new Map(
    lines.map((line) => {
      const text = line.toString('latin1')
      const count = (counts.get(text) ?? 0) + 1
      counts.set(text, count)
      return [`${text}\t${count}`, line]
    }),
  )
}

function setOf<T>(sets: Map<string, Set<T>>, name: string): Set<T> {
  let set = sets.get(name)
  if (!set) {
    set = new Set()
    sets.set(name, set)
  }
  return set
}
