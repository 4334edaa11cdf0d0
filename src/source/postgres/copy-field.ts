/** A field of a COPY line back to the text that the database holds, and as a literal in a statement. */
import { quoteText } from './quote.ts'

const BACKSLASH = 0x5c
/** What stands behind a backslash, and what it means; anything else means itself. */
const ESCAPES: ReadonlyMap<number, number> = new Map([
  [0x62, 0x08],
  [0x66, 0x0c],
  [0x6e, 0x0a],
  [0x72, 0x0d],
  [0x74, 0x09],
  [0x76, 0x0b],
])

/** @param field not NULL */
export function unescapeField(field: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(field.length)
  let to = 0
  for (let at = 0; at < field.length; at += 1) {
    let byte = field[at]!
    if (byte === BACKSLASH) {
      at += 1
      const behind = field[at]!
      byte = ESCAPES.get(behind) ?? behind
    }
    out[to++] = byte
  }
  return out.subarray(0, to)
}

/** An explicit cast to `varchar(5)` or `numeric(10,0)` cuts and rounds in silence: what is looked for must stay what it is. */
export function bareType(type: string): string {
  const bare = type.replace(/\([\d,\s-]*\)/, '')
  if (/^character(?! varying)/.test(bare)) return bare.replace('character', 'bpchar')
  return /^bit(?! varying)/.test(bare) ? bare.replace('bit', 'bit varying') : bare
}

/**
 * @param type as `ColumnInfo.type`
 * @param encoding of the database: what is not ASCII is sent as bytes where the connection would translate it
 */
export function fieldLiteral(field: Uint8Array, type: string, encoding: string): string {
  return `${textLiteral(unescapeField(field), encoding)}::${bareType(type)}`
}

/** @param text in the database's encoding */
export function textLiteral(text: Buffer, encoding: string): string {
  const isPlain = encoding === 'UTF8' || text.every((byte) => byte < 0x80)
  if (isPlain) return quoteText(text.toString('utf8'))
  return `convert_from('\\x${text.toString('hex')}'::bytea, ${quoteText(encoding)})`
}

/** @param type as `ColumnInfo.type` */
export function nullLiteral(type: string): string {
  return `NULL::${bareType(type)}`
}
