/**
 * Tables as people think of them: the leaves of a partitioned table are one, under its topmost name, because that is
 * what a configuration names. Facts about rows are asked of the largest leaf.
 */
import type { ColumnInfo, ForeignKey, TableInfo } from '../contract.ts'

export interface LogicalTable {
  readonly name: string
  /** Of the leaf that stands for all when rows are looked at. */
  readonly sqlName: string
  readonly columns: readonly ColumnInfo[]
  readonly primaryKey: readonly string[]
  readonly uniqueKeys: readonly (readonly string[])[]
  /** To other tables only; leaves named by their topmost parent. */
  readonly foreignKeys: readonly ForeignKey[]
  readonly estimatedRows: number
  readonly comment: string | null
}

/** Sorted by name. */
export function toLogicalTables(tables: readonly TableInfo[]): LogicalTable[] {
  const topmost = new Map(tables.map((table) => [table.name, table.partitionOf ?? table.name]))
  const groups = Map.groupBy(tables, (table) => topmost.get(table.name)!)
  return [...groups].map(([name, leaves]) => toLogical(name, leaves, topmost)).sort(byName)
}

function toLogical(name: string, leaves: readonly TableInfo[], topmost: ReadonlyMap<string, string>): LogicalTable {
  const largest = leaves.reduce((best, leaf) => (leaf.estimatedRows > best.estimatedRows ? leaf : best))
  return {
    name,
    sqlName: largest.sqlName,
    columns: largest.columns,
    primaryKey: largest.primaryKey,
    uniqueKeys: largest.uniqueKeys,
    foreignKeys: largest.foreignKeys
      .map((key) => ({ ...key, references: topmost.get(key.references) ?? key.references }))
      .filter((key) => key.references !== name),
    estimatedRows: leaves.reduce((sum, leaf) => sum + Math.max(0, leaf.estimatedRows), 0),
    comment: leaves.find((leaf) => leaf.comment !== null)?.comment ?? null,
  }
}

function byName(left: LogicalTable, right: LogicalTable): number {
  return left.name < right.name ? -1 : 1
}

/** `public.vital_sign` → `vital_sign`, `dict."给药频次"` → `给药频次`. */
export function bareName(name: string): string {
  const bare = /\.("(?:[^"]|"")+"|[^."]+)$/u.exec(name)?.[1] ?? name
  return bare.startsWith('"') ? bare.slice(1, -1).replaceAll('""', '"') : bare
}

export function schemaName(name: string): string {
  return name.slice(0, -bareName(name).length - 1).replaceAll('"', '')
}

/** `PatientId`, `patient_id` and `PATIENT_ID` are one name. */
export function normalName(name: string): string {
  return words(name).join('')
}

/** `tb_VitalSign2` → tb, vital, sign2. Chinese stays as it is. */
export function words(name: string): string[] {
  return name
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .split(/[^\p{Letter}\p{Number}]+/u)
    .filter((word) => word !== '')
}

/** `patients` → `patient`. */
export function singular(word: string): string {
  if (/(ss|us|is)$/.test(word)) return word
  return word.replace(/ies$/, 'y').replace(/s$/, '')
}
