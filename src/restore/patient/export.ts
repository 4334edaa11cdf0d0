/**
 * One patient's rows as files that other programs read, with digests beside them: CSV as RFC 4180 has it, and JSON lines
 * of strings. No value passes through a number or a date: what the database printed is what stands there.
 */
import { createHash } from 'node:crypto'
import type { TableManifest } from '../../repository/manifest.ts'
import type { Closure, ClosureTable } from './closure.ts'
import { fieldOf, isNull, type StoredRow } from './stored-row.ts'

export interface ExportedFile {
  /** Of the file: safe on every file system. */
  readonly name: string
  readonly bytes: Buffer
}

export interface ExportMoment {
  /** Pseudonym. */
  readonly patient: string
  readonly asOf: { readonly snapshot: string; readonly sourceTime: string }
}

/** The rows, and `MOMENT.json`: as of when they are, and what is not among them. */
export function exportPatient(
  { tables, older, leftOut }: Pick<Closure, 'tables' | 'older' | 'leftOut'>,
  moment: ExportMoment,
): ExportedFile[] {
  const about = Buffer.from(`${JSON.stringify({ ...moment, older, leftOut }, null, 2)}\n`)
  return exportRows(tables, [{ name: 'MOMENT.json', bytes: about }])
}

/** CSV and JSON lines for each table with rows, and `SHA256SUMS` over them and what is `beside`. */
export function exportRows(tables: Closure['tables'], beside: readonly ExportedFile[] = []): ExportedFile[] {
  const rows = tables.filter((table) => table.rows.length > 0).flatMap((table) => [csvFile(table), jsonFile(table)])
  const files = [...rows, ...beside]
  const sums = files.map(({ name, bytes }) => `${createHash('sha256').update(bytes).digest('hex')}  ${name}\n`)
  return [...files, { name: 'SHA256SUMS', bytes: Buffer.from(sums.join('')) }]
}

function csvFile({ table, rows }: ClosureTable): ExportedFile {
  const header = table.columns.map(({ name }) => csvField(name)).join(',')
  const lines = rows.map((row) => table.columns.map((_, field) => csvValue(row, field)).join(','))
  return { name: `${fileName(table)}.csv`, bytes: Buffer.from(`${[header, ...lines].join('\r\n')}\r\n`) }
}

/** NULL is nothing at all, an empty text is `""`: as COPY in CSV form tells them apart. */
function csvValue(row: StoredRow, field: number): string {
  const value = textOf(row, field)
  if (value === null) return ''
  return value === '' ? '""' : csvField(value)
}

function csvField(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

function jsonFile({ table, rows }: ClosureTable): ExportedFile {
  const lines = rows.map((row) => {
    const entries = table.columns.map(({ name }, field) => [name, textOf(row, field)])
    return `${JSON.stringify(Object.fromEntries(entries))}\n`
  })
  return { name: `${fileName(table)}.jsonl`, bytes: Buffer.from(lines.join('')) }
}

const ESCAPES: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' }

/** The value as the database printed it; null for NULL. */
export function textOf(row: StoredRow, field: number): string | null {
  const bytes = fieldOf(row, field)
  if (isNull(bytes)) return null
  return bytes.toString('utf8').replace(/\\(.)/gs, (_, behind: string) => ESCAPES[behind] ?? behind)
}

function fileName({ name }: TableManifest): string {
  return name.replaceAll('"', '').replace(/[^\p{L}\p{N}._-]/gu, '_')
}
