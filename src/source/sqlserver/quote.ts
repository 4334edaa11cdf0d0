/** Names and texts as they must be written in Transact-SQL. */

/** A regular identifier that needs no brackets; what is a reserved word beside that is only shown, never sent. */
const REGULAR = /^[\p{L}_][\p{L}\p{N}_@$#]*$/u

/** Always bracketed: brackets hold whatever QUOTED_IDENTIFIER says. */
export function quoteName(name: string): string {
  return `[${name.replaceAll(']', ']]')}]`
}

export function quoteQualified(schema: string, name: string): string {
  return `${quoteName(schema)}.${quoteName(name)}`
}

/** As `TableInfo.name`. */
export function shownName(schema: string, name: string): string {
  return [schema, name].map((part) => (REGULAR.test(part) ? part : quoteName(part))).join('.')
}

/** Unicode, whatever the database's code page. */
export function quoteText(text: string): string {
  return `N'${text.replaceAll("'", "''")}'`
}
