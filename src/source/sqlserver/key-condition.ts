/**
 * Keys of lines as a condition of a statement. What does not become a value of its column's type unchanged equals none
 * of its rows, and is left out: a conversion would cut or round it to something that does.
 */

import { fieldsOf } from './copy-line.ts'
import type { CatalogColumn } from './introspect.ts'
import { quoteName, quoteText } from './quote.ts'
import { isCodePageText, type SqlType, textForm } from './row-text.ts'

/**
 * @param alias of the table whose rows are asked for
 * @param values of each key its fields as they stand in a line; none of them NULL
 * @returns for WHERE, by the comparison of the columns' own collations
 */
export function keysAmong(
  alias: string,
  columns: readonly CatalogColumn[],
  values: readonly (readonly Uint8Array[])[],
): string {
  const tuples = values
    .map((key) => key.map((field, position) => keyLiteral(columns[position]!, field)))
    .filter((key) => !key.includes(null))
    .map((key) => `(${key.join(', ')})`)
  if (tuples.length === 0) return '1 = 0'
  const names = columns.map((_, position) => `k${position}`)
  const equal = columns.map(({ name }, position) => `${alias}.${quoteName(name)} = ck_keys.k${position}`)
  return (
    `EXISTS (SELECT 1 FROM (VALUES ${tuples.join(', ')}) ck_keys(${names.join(', ')}) ` +
    `WHERE ${equal.join(' AND ')})`
  )
}

/** Of a row without a key: every column, by the text it is read as, so that no row is taken for one that only equals it. */
export function sameText(alias: string, { name, type }: CatalogColumn, field: Uint8Array): string {
  const column = `${alias}.${quoteName(name)}`
  const text = fieldText(field)
  if (text === null) return `${column} IS NULL`
  const form = textForm(type)
  const bytes = (value: string) => `CONVERT(varbinary(max), ${value})`
  const [found, wanted] = [
    bytes(form?.read(column) ?? column),
    bytes(form?.carrier === 'bytes' ? text : quoteText(text)),
  ]
  return `(${found} = ${wanted} AND DATALENGTH(${found}) = DATALENGTH(${wanted}))`
}

function keyLiteral({ type }: CatalogColumn, field: Uint8Array): string | null {
  const text = fieldText(field)
  const form = textForm(type)
  if (text === null || form === null || losesFraction(type, text)) return null
  const literal = form.carrier === 'bytes' ? text : quoteText(text)
  // The code page is that of the collation, whatever the database's is.
  const placed = isCodePageText(type) && type.collation !== null ? `${literal} COLLATE ${type.collation}` : literal
  return `TRY_${textForm(roomy(type))?.write(placed)}`
}

function fieldText(field: Uint8Array): string | null {
  return fieldsOf(Buffer.from(field).toString('utf8'))[0] ?? null
}

/** Of the same kind, with room for any key. */
function roomy(type: SqlType): SqlType {
  if (type.maxLength === -1) return type
  if (['char', 'varchar'].includes(type.base)) return { ...type, base: 'varchar', maxLength: 8000 }
  if (['nchar', 'nvarchar'].includes(type.base)) return { ...type, base: 'nvarchar', maxLength: 8000 }
  if (['binary', 'varbinary'].includes(type.base)) return { ...type, base: 'varbinary', maxLength: 8000 }
  return type
}

const WITH_FRACTION = ['decimal', 'numeric', 'time', 'datetime2', 'datetimeoffset']

function losesFraction({ base, scale }: SqlType, text: string): boolean {
  if (!WITH_FRACTION.includes(base)) return false
  const digits = /\.(\d+)/.exec(text)?.[1] ?? ''
  return /[1-9]/.test(digits.slice(scale))
}
