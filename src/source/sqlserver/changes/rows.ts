/** Rows of change tables as lines, and pairs of them as changes. */
import { Failure } from '../../../errors.ts'
import { FIELD_NOT_SENT, type RowChange, type StreamTable } from '../../change-contract.ts'
import { lineOf } from '../copy-line.ts'
import { untranslatable } from '../read-table.ts'
import { isLarge } from './plan.ts'
import type { CapturedRow, Followed } from './questions.ts'

export const [DELETE, INSERT, UPDATE_BEFORE, UPDATE_AFTER] = [1, 2, 3, 4] as const
/** "Always assigned a NULL value" before a change; of xml nothing is written down. */
const NEVER_BEFORE = new Set(['text', 'ntext', 'image', 'xml'])

export function streamTableOf({ table }: Followed): StreamTable {
  const columns = table.info.columns.map(({ name }) => name)
  return {
    oid: table.info.oid,
    name: table.info.name,
    columns,
    key: table.info.primaryKey.map((name) => columns.indexOf(name)),
  }
}

/**
 * As `RowChange` has them. A large value that was not sent reads as NULL, which is a value: what tells them apart is
 * whether the update says that it changed the field.
 * @throws untranslatable-text
 */
export function lineOfRow({ table }: Followed, row: CapturedRow): Buffer {
  if (row.isBent) throw untranslatable(table.info.name, 'bytes that its code page has no character for')
  const line = lineOf(row.fields)
  if (typeof line !== 'string') {
    throw untranslatable(`${table.info.name}.${table.captured[line.unpaired]?.name}`, 'half of a surrogate pair')
  }
  const text = line.slice(0, -1)
  const unsent = table.captured.flatMap((column, position) => {
    if (!isLarge(column)) return []
    const isBefore = row.operation === DELETE || row.operation === UPDATE_BEFORE
    return (isBefore && NEVER_BEFORE.has(column.type.base)) || row.unchanged.includes(position) ? [position] : []
  })
  if (unsent.length === 0) return Buffer.from(text)
  const fields = text.split('\t')
  for (const position of unsent) fields[position] = FIELD_NOT_SENT
  return Buffer.from(fields.join('\t'))
}

/** Puts the two rows of an update together. */
export class Pairing {
  readonly #followed: Followed
  readonly #table: StreamTable
  #before: { readonly row: CapturedRow; readonly line: Buffer } | null = null

  constructor(followed: Followed, table: StreamTable) {
    this.#followed = followed
    this.#table = table
  }

  /** @returns null of the first half of an update */
  take(row: CapturedRow): RowChange | null {
    const line = lineOfRow(this.#followed, row)
    const table = this.#table
    const before = this.#before
    this.#before = null
    if (row.operation === UPDATE_AFTER) {
      if (before === null || before.row.lsn !== row.lsn || before.row.seqval !== row.seqval) throw this.halved()
      return { kind: 'update', table, before: before.line, after: line }
    }
    if (before !== null) throw this.halved()
    if (row.operation === DELETE) return { kind: 'delete', table, before: line, after: null }
    if (row.operation === INSERT) return { kind: 'insert', table, before: null, after: line }
    if (row.operation !== UPDATE_BEFORE) throw this.halved()
    this.#before = { row, line }
    return null
  }

  /** At the end of a transaction nothing is left over. */
  finish(): void {
    if (this.#before !== null) throw this.halved()
  }

  halved(): Failure {
    const { name } = this.#followed.instance
    return new Failure('slot-lost', `the change table of ${name} holds half of an update`, {
      context: { table: this.#table.name },
    })
  }
}
