/** Names and texts as they must be written in statements. */

/** Always quoted: whether a name needs quotes differs between versions. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

export function quoteQualified(schema: string, name: string): string {
  return `${quoteName(schema)}.${quoteName(name)}`
}

/** With standard_conforming_strings, which sessions pin, a backslash is a character like any other. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
