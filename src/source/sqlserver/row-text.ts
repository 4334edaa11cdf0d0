/**
 * Every type as exact text, and back: which conversion the server is asked for when a table is read, and which when its
 * rows are put into a rebuilt one. One entry a type; a type that has none is refused by name, never bent.
 *
 * Styles are those of learn.microsoft.com, "CAST and CONVERT (Transact-SQL)":
 *   - float and real, style 3: 17 (9) digits, "every distinct float or real value is guaranteed to convert to a distinct
 *     character string" (SQL Server 2016 and later);
 *   - money and smallmoney, style 2: four digits behind the point, without commas;
 *   - date style 23 and the other times style 121: `yyyy-mm-dd hh:mi:ss` with as many digits as the type keeps, the offset
 *     at the end. Style 126 drops the milliseconds of a datetime where they are zero; smalldatetime has no seconds to
 *     lose, and is read by style 120;
 *   - decimal: all its digits, by the type's own scale.
 *
 * Bytes (binary, rowversion's kin, hierarchyid, spatial types by their own serialisation) come as bytes and are written as
 * `0x…` in capitals, as style 1 would write them, without the server making text of hundreds of megabytes.
 */
import { quoteName } from './quote.ts'

export interface SqlType {
  /** Of the system: alias types by what they stand for. `nvarchar`, `hierarchyid`. */
  readonly base: string
  /** Bytes; -1 for `max`. */
  readonly maxLength: number
  readonly precision: number
  readonly scale: number
  /** Of text that has one, else null. */
  readonly collation: string | null
}

export interface TextForm {
  /** The expression that reads a column, of type nvarchar or varbinary. */
  readonly read: (column: string) => string
  /** The expression that gives the value again, from a field as it was read. */
  readonly write: (field: string) => string
  /** What the field is while it waits to be converted. */
  readonly carrier: 'text' | 'bytes'
}

const NVARCHAR_MAX = 4000

const INTEGERS = ['bit', 'tinyint', 'smallint', 'int', 'bigint'] as const
const OPAQUE = ['hierarchyid', 'geometry', 'geography'] as const

type FormOf = (type: SqlType) => TextForm

const FORMS: Readonly<Record<string, FormOf>> = {
  ...Object.fromEntries(INTEGERS.map((name): [string, FormOf] => [name, () => converted(name, 'nvarchar(20)')])),
  ...Object.fromEntries(OPAQUE.map((name): [string, FormOf] => [name, () => asBytes(name, 'varbinary(max)')])),
  decimal: (type) => converted(declaration(type), 'nvarchar(41)'),
  numeric: (type) => converted(declaration(type), 'nvarchar(41)'),
  money: () => converted('money', 'nvarchar(30)', 2),
  smallmoney: () => converted('smallmoney', 'nvarchar(30)', 2),
  float: () => converted('float', 'nvarchar(40)', 3),
  real: () => converted('real', 'nvarchar(40)', 3),
  date: () => converted('date', 'nvarchar(10)', 23),
  time: (type) => converted(declaration(type), 'nvarchar(16)', 121),
  datetime: () => converted('datetime', 'nvarchar(23)', 121),
  smalldatetime: () => converted('smalldatetime', 'nvarchar(19)', 120),
  datetime2: (type) => converted(declaration(type), 'nvarchar(27)', 121),
  datetimeoffset: (type) => converted(declaration(type), 'nvarchar(34)', 121),
  uniqueidentifier: () => converted('uniqueidentifier', 'nvarchar(36)'),
  // Style 1 keeps the white space of the text, which CONVERT takes away otherwise.
  xml: () => ({ ...converted('xml', 'nvarchar(max)'), write: (field) => `CONVERT(xml, ${field}, 1)` }),
  char: (type) => converted(declaration(type), wide(type.maxLength)),
  varchar: (type) => converted(declaration(type), wide(type.maxLength)),
  text: () => throughMax('text', 'varchar(max)'),
  nchar: untouched,
  nvarchar: untouched,
  ntext: () => throughMax('ntext', 'nvarchar(max)'),
  binary: (type) => asBytes(declaration(type)),
  varbinary: (type) => asBytes(declaration(type)),
  image: () => asBytes('image'),
}

/** Null for a type that is not read: sql_variant (each value has a type of its own), CLR types, what a later version brings. */
export function textForm(type: SqlType): TextForm | null {
  return Object.hasOwn(FORMS, type.base) ? FORMS[type.base]!(type) : null
}

/** As it stands in a table's definition, without collation: `decimal(10,2)`, `nvarchar(max)`. */
export function declaration(type: SqlType): string {
  const { base, maxLength, precision, scale } = type
  const length = (bytesEach: number) => (maxLength === -1 ? 'max' : String(maxLength / bytesEach))
  switch (base) {
    case 'decimal':
    case 'numeric':
      return `${base}(${precision},${scale})`
    case 'time':
    case 'datetime2':
    case 'datetimeoffset':
      return `${base}(${scale})`
    case 'char':
    case 'varchar':
    case 'binary':
    case 'varbinary':
      return `${base}(${length(1)})`
    case 'nchar':
    case 'nvarchar':
      return `${base}(${length(2)})`
    default:
      return base
  }
}

/** Text of a code page: what is not of it in the bytes there would come back as something else. */
export function isCodePageText(type: SqlType): boolean {
  return ['char', 'varchar', 'text'].includes(type.base)
}

/**
 * True of a row (by the server) in which a column's bytes do not survive the way to Unicode and back, or null when no
 * column is in question. Bytes that a code page has no character for are stored all the same.
 */
export function bentCondition(columns: readonly { readonly name: string; readonly type: SqlType }[]): string | null {
  const conditions = columns
    .filter(({ type }) => isCodePageText(type) && type.collation !== null)
    .map(({ name, type }) => {
      const kept = type.base === 'text' ? `CONVERT(varchar(max), ${quoteName(name)})` : quoteName(name)
      const back = `CONVERT(varchar(max), CONVERT(nvarchar(max), ${kept}) COLLATE ${type.collation})`
      return `CONVERT(varbinary(max), ${kept}) <> CONVERT(varbinary(max), ${back})`
    })
  return conditions.length === 0 ? null : conditions.join(' OR ')
}

function converted(type: string, text: string, style?: number): TextForm {
  const styled = style === undefined ? '' : `, ${style}`
  return {
    read: (column) => `CONVERT(${text}, ${column}${styled})`,
    write: (field) => `CONVERT(${type}, ${field}${styled})`,
    carrier: 'text',
  }
}

function untouched(type: SqlType): TextForm {
  return { read: (column) => column, write: (field) => `CONVERT(${declaration(type)}, ${field})`, carrier: 'text' }
}

/** The old types convert to their successors only. */
function throughMax(type: string, successor: string): TextForm {
  return {
    read: (column) => `CONVERT(nvarchar(max), CONVERT(${successor}, ${column}))`,
    write: (field) => `CONVERT(${type}, CONVERT(${successor}, ${field}))`,
    carrier: 'text',
  }
}

function asBytes(type: string, serialised?: string): TextForm {
  return {
    read: (column) => (serialised === undefined ? column : `CONVERT(${serialised}, ${column})`),
    write: (field) => `CONVERT(${type}, ${field})`,
    carrier: 'bytes',
  }
}

/** A byte of a code page is at most one unit of UTF-16. */
function wide(bytes: number): string {
  return bytes === -1 || bytes > NVARCHAR_MAX ? 'nvarchar(max)' : `nvarchar(${bytes})`
}
