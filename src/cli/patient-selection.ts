/** Which rows of a patient a plan is about, as it is said on the command line. */
import { readFile } from 'node:fs/promises'
import { Failure } from '../errors.ts'
import { type SelectedRow, type Selection, selectionOf } from '../restore/patient/selection.ts'

export interface SelectionOptions {
  readonly category: readonly string[]
  readonly table: readonly string[]
  readonly only: readonly string[]
  readonly onlyFrom?: string
}

/** @throws bad-usage */
export async function selectionFrom({ category, table, only, onlyFrom }: SelectionOptions): Promise<Selection> {
  const isByRow = only.length > 0 || onlyFrom !== undefined
  const named = [...only.map(namedRow), ...(onlyFrom === undefined ? [] : await rowsOf(onlyFrom))]
  return selectionOf({ categories: category, tables: table, rows: isByRow ? named : null })
}

/** `table:key,key`: no name of a table has a colon that is not quoted, and ours are not. */
export function namedRow(text: string): SelectedRow {
  const colon = text.indexOf(':')
  if (colon < 1) throw new Failure('bad-usage', 'a row is named by TABLE:KEY', { hints: [HINT] })
  return { table: text.slice(0, colon), key: text.slice(colon + 1).split(',') }
}

async function rowsOf(file: string): Promise<SelectedRow[]> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Failure('bad-usage', `cannot read ${file} (${error.code})`)
  })
  const lines = text.split(/\r?\n/).filter((line) => line !== '')
  return lines.map((line, index) => {
    const [table = '', ...key] = line.split('\t')
    if (key.length > 0) return { table, key }
    throw new Failure('bad-usage', `line ${index + 1} of ${file} names no row`, { hints: [HINT] })
  })
}

const HINT = 'With its schema, and the primary key’s fields in their order: public.diagnosis:103,2.'
