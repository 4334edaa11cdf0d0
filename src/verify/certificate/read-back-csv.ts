/**
 * Reads CSV (RFC 4180) as another program would, to see whether what was exported is what was there. Nothing of the
 * writer is used.
 */

/** Fields of each record; null is a field without anything, not even quotes. @throws nothing: text that is no CSV gives other fields */
export function readCsv(text: string): (string | null)[][] {
  const records: (string | null)[][] = []
  let record: (string | null)[] = []
  let at = 0
  while (at < text.length) {
    const { value, next } = readField(text, at)
    record.push(value)
    at = next
    if (text[at] === ',') at += 1
    else {
      if (text[at] === '\r') at += 1
      at += 1
      records.push(record)
      record = []
    }
    if (at === text.length && record.length > 0) records.push([...record, null])
  }
  return records
}

function readField(text: string, start: number): { readonly value: string | null; readonly next: number } {
  if (text[start] !== '"') {
    let end = start
    while (end < text.length && !',\r\n'.includes(text[end]!)) end += 1
    return { value: end === start ? null : text.slice(start, end), next: end }
  }
  let value = ''
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] !== '"') value += text[at]
    else if (text[at + 1] === '"') {
      value += '"'
      at += 1
    } else return { value, next: at + 1 }
  }
  return { value, next: text.length }
}
