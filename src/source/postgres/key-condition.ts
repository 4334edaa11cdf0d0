/**
 * Many keys as one condition. Each column's values are one array, so that the server parses one literal where a list of
 * fifty thousand would be as many expressions, each with its cast.
 */
import type { TableInfo } from '../contract.ts'
import type { QueryValues } from '../row-contract.ts'
import { bareType, fieldLiteral, textLiteral, unescapeField } from './copy-field.ts'
import { quoteName } from './quote.ts'

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d

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
  const part = { values, start: 0, end: values.length }
  const arrays = types.map((type, position) => arrayLiteral(part, position, type, encoding))
  if (names.length === 1) return `${left} = ANY (${arrays[0]})`
  // In the list of what is selected and not behind FROM, where a row as a value would become its columns.
  return `${left} IN (SELECT ${arrays.map((array) => `unnest(${array})`).join(', ')})`
}

/** Of many keys, those of one statement. */
export interface KeyPart {
  readonly values: QueryValues
  readonly start: number
  readonly end: number
}

/**
 * One lookup by the index of the primary key for each of the keys, which is faster than any join as long as there is that
 * index, and does not depend on what was counted of the table. For tables that `hasFastKey`.
 * @returns a statement
 */
export function rowsOfKeys(table: TableInfo, columns: readonly string[], keys: KeyPart, encoding: string): string {
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

function arrayLiteral(part: KeyPart, position: number, type: string, encoding: string): string {
  const array = new ArrayText()
  const { values, start, end } = part
  if (values.each) values.each(position, start, end, (bytes, from, to) => array.add(bytes, from, to))
  else for (const fields of values.slice(start, end)) array.add(fields[position]!, 0, fields[position]!.length)
  return `${textLiteral(array.done(), encoding)}::${bareType(type)}[]`
}

const ROOM_BYTES = 64 * 1024

/** `{"…","…"}` of fields as they stand in lines. */
class ArrayText {
  #room = Buffer.allocUnsafe(ROOM_BYTES)
  #end = 0

  add(bytes: Uint8Array, start: number, end: number): void {
    let at = start
    while (at < end && bytes[at] !== BACKSLASH) at += 1
    // COPY escapes little, and keys hold nothing of it: what has no backslash is the text itself.
    if (at === end) this.#addText(bytes, start, end)
    else this.#addText(unescapeField(bytes.subarray(start, end)))
  }

  done(): Buffer {
    const end = this.#end === 0 ? this.#room.write('{') : this.#end
    this.#room[end] = CLOSE_BRACE
    return this.#room.subarray(0, end + 1)
  }

  #addText(text: Uint8Array, start = 0, end = text.length): void {
    // Each byte may be escaped; quotes and a comma are around them, and a brace is to come.
    const needed = this.#end + 2 * (end - start) + 4
    if (needed > this.#room.length) this.#grow(needed)
    const room = this.#room
    let to = this.#end
    room[to] = to === 0 ? OPEN_BRACE : COMMA
    room[to + 1] = QUOTE
    to += 2
    for (let at = start; at < end; at += 1) {
      const byte = text[at]!
      if (byte === QUOTE || byte === BACKSLASH) room[to++] = BACKSLASH
      room[to++] = byte
    }
    room[to] = QUOTE
    this.#end = to + 1
  }

  #grow(bytes: number): void {
    const larger = Buffer.allocUnsafe(2 * bytes)
    this.#room.copy(larger, 0, 0, this.#end)
    this.#room = larger
  }
}
