/**
 * Many keys as one condition. Each column's values are one array, so that the server parses one literal where a list of
 * fifty thousand would be as many expressions, each with its cast.
 */
import type { TableInfo } from '../contract.ts'
import { bareType, fieldLiteral, textLiteral, unescapeField } from './copy-field.ts'
import { quoteName } from './quote.ts'

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c

/**
 * @param values of each key its fields as they stand in a line; none of them NULL
 * @returns for WHERE; rows that fit several values come once
 */
export function keysAmong(
  table: TableInfo,
  columns: readonly string[],
  values: readonly (readonly Uint8Array[])[],
  encoding: string,
): string {
  const types = columns.map((column) => table.columns.find(({ name }) => name === column)!.type)
  const names = columns.map(quoteName)
  const left = names.length === 1 ? names[0] : `(${names.join(', ')})`
  if (!types.every(hasArrays)) return `${left} IN (VALUES ${tuples(values, types, encoding).join(', ')})`
  const arrays = types.map((type, position) => arrayLiteral(values, position, type, encoding))
  if (names.length === 1) return `${left} = ANY (${arrays[0]})`
  // In the list of what is selected and not behind FROM, where a row as a value would become its columns.
  return `${left} IN (SELECT ${arrays.map((array) => `unnest(${array})`).join(', ')})`
}

/**
 * One lookup by the index of the primary key for each of the keys, which is faster than any join as long as there is that
 * index, and does not depend on what was counted of the table. For tables that `hasFastKey`.
 * @returns a statement
 */
export function rowsOfKeys(
  table: TableInfo,
  columns: readonly string[],
  keys: readonly (readonly Uint8Array[])[],
  encoding: string,
): string {
  const arrays = keyTypes(table).map((type, position) => arrayLiteral(keys, position, type, encoding))
  const wanted = arrays.map((array, position) => `unnest(${array}) AS ck${position}`)
  const isKey = table.primaryKey.map((column, position) => `ck_at.${quoteName(column)} = ck_key.ck${position}`)
  const names = columns.map((column) => `ck_at.${quoteName(column)}`).join(', ')
  // OFFSET 0: or it is a join again.
  const row = `SELECT ${names} FROM ONLY ${table.sqlName} ck_at WHERE ${isKey.join(' AND ')} OFFSET 0`
  return `SELECT ck_row.* FROM (SELECT ${wanted.join(', ')}) ck_key CROSS JOIN LATERAL (${row}) ck_row`
}

/**
 * Types whose `=` is the operator of their index, and is found by an empty search path: of citext it is another one, and
 * each key would be looked for in all rows.
 */
const FAST_TYPES = new Set([
  'bigint',
  'bpchar',
  'character varying',
  'date',
  'integer',
  'numeric',
  'smallint',
  'text',
  'timestamp with time zone',
  'timestamp without time zone',
  'uuid',
])

export function hasFastKey(table: TableInfo): boolean {
  return table.primaryKey.length > 0 && keyTypes(table).every((type) => FAST_TYPES.has(bareType(type)))
}

function keyTypes({ columns, primaryKey }: TableInfo): string[] {
  return primaryKey.map((column) => columns.find(({ name }) => name === column)?.type ?? '')
}

/** An array of arrays is another thing, and only boxes are told apart by something else than a comma. */
function hasArrays(type: string): boolean {
  return !type.endsWith(']') && type !== 'box'
}

function tuples(values: readonly (readonly Uint8Array[])[], types: readonly string[], encoding: string): string[] {
  return values.map(
    (fields) => `(${fields.map((field, position) => fieldLiteral(field, types[position]!, encoding)).join(', ')})`,
  )
}

function arrayLiteral(
  values: readonly (readonly Uint8Array[])[],
  position: number,
  type: string,
  encoding: string,
): string {
  // Each byte may be escaped; quotes and a comma are around each.
  const room = Buffer.allocUnsafe(values.reduce((sum, fields) => sum + 2 * fields[position]!.length + 3, 2))
  let to = room.write('{')
  for (const [index, fields] of values.entries()) {
    if (index > 0) room[to++] = COMMA
    to = writeElement(fields[position]!, room, to)
  }
  to += room.write('}', to)
  return `${textLiteral(room.subarray(0, to), encoding)}::${bareType(type)}[]`
}

function writeElement(field: Uint8Array, room: Buffer, start: number): number {
  let to = start
  room[to++] = QUOTE
  // COPY escapes little, and keys hold nothing of it: what has no backslash is the text itself.
  const text = field.includes(BACKSLASH) ? unescapeField(field) : field
  for (let at = 0; at < text.length; at += 1) {
    const byte = text[at]!
    if (byte === QUOTE || byte === BACKSLASH) room[to++] = BACKSLASH
    room[to++] = byte
  }
  room[to++] = QUOTE
  return to
}
