/**
 * A row as PostgreSQL prints a record, `(1,"a b",)`, turned into a line of COPY: written here a second time, from the
 * documentation of both forms, so that the judge shares nothing with what it judges.
 */

/** Null is NULL. @param text as `row::text` gives it */
export function recordFields(text: string): (string | null)[] {
  const fields: (string | null)[] = []
  let at = 1
  for (;;) {
    const field = readField(text, at)
    fields.push(field.value)
    at = field.end + 1
    if (text[field.end] === ')') return fields
  }
}

/** Without the newline. */
export function copyLine(fields: readonly (string | null)[]): string {
  return fields.map((field) => (field === null ? '\\N' : field.replace(SPECIAL, escaped))).join('\t')
}

// What COPY escapes by a letter: backslash, and the control characters that have one.
const SPECIAL = /[\\\b\f\n\r\t\v]/g

const ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
}

function escaped(character: string): string {
  return ESCAPES[character]!
}

/** `end` is where the comma or the closing parenthesis stands. */
function readField(text: string, start: number): { value: string | null; end: number } {
  let value = ''
  let isQuoted = false
  let inQuotes = false
  for (let at = start; ; at += 1) {
    const character = text[at]!
    if (!inQuotes && (character === ',' || character === ')')) {
      return { value: value === '' && !isQuoted ? null : value, end: at }
    }
    if (character === '"') {
      if (inQuotes && text[at + 1] === '"') {
        value += '"'
        at += 1
      } else inQuotes = !inQuotes
      isQuoted = true
    } else if (character === '\\') {
      at += 1
      value += text[at]!
    } else value += character
  }
}
