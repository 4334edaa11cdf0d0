/** One table of a consistent read: on the session that holds it, and from whatever thread wants it. */

import { Failure } from '../../errors.ts'
import type { ReadTable } from '../contract.ts'
import type { Session } from './connect.ts'
import { isLargeRow, LINE_CHARACTERS_MAX, lineOf, linePieces } from './copy-line.ts'
import { toSqlServerFailure } from './failures.ts'
import type { CatalogTable } from './introspect.ts'
import { quoteName } from './quote.ts'
import { receiveTable } from './relay.ts'
import { bentCondition, textForm } from './row-text.ts'

const CHUNK_CHARACTERS = 64 * 1024
export const BENT = '1'

export const readTable: ReadTable = (ticket, table, signal) => receiveTable(ticket.snapshot, table.name, signal)

/** In the transaction of the read. @throws untranslatable-text, schema-changed, source-failed */
export async function* readLines(keeper: Session, table: CatalogTable): AsyncGenerator<Uint8Array> {
  const { captured, info } = table
  let text = ''
  try {
    for await (const [bent, ...fields] of keeper.rows(selectStatement(table))) {
      if (bent === BENT) throw untranslatable(info.name, 'bytes that its code page has no character for')
      let characters = 0
      for (const piece of isLargeRow(fields) ? linePieces(fields) : [lineOf(fields)]) {
        if (typeof piece !== 'string') {
          throw untranslatable(`${info.name}.${captured[piece.unpaired]?.name}`, 'half of a surrogate pair')
        }
        characters += piece.length
        if (characters > LINE_CHARACTERS_MAX) throw tooLarge(info.name)
        text += piece
        if (text.length < CHUNK_CHARACTERS) continue
        yield Buffer.from(text)
        text = ''
      }
    }
    if (text !== '') yield Buffer.from(text)
  } catch (error) {
    throw toSqlServerFailure(error, { doing: `reading ${info.name}`, side: 'source' })
  }
}

/** The first field tells whether the row's text survives; the others are the line's. */
export function selectStatement({ info, captured }: CatalogTable): string {
  const condition = bentCondition(captured)
  const bent = condition === null ? "N'0'" : `CASE WHEN ${condition} THEN N'1' ELSE N'0' END`
  const fields = captured.map(({ name, type }) => {
    const form = textForm(type)
    if (form === null) throw new Failure('defect', `${info.name} was found readable`)
    return form.read(quoteName(name))
  })
  return `SELECT ${[bent, ...fields].join(', ')} FROM ${info.sqlName}`
}

export function tooLarge(name: string): Failure {
  return new Failure('not-available', `${name} has a row of more than ${LINE_CHARACTERS_MAX} characters of text`, {
    context: { table: name },
    hints: ['A byte of varbinary is two of them. Exclude the table: it is then listed as not captured.'],
  })
}

export function untranslatable(name: string, what: string): Failure {
  return new Failure('untranslatable-text', `${name} holds ${what}, which UTF-8 cannot tell`, {
    hints: ['Have the text mended, or exclude the table: it is then listed as not captured.'],
  })
}
