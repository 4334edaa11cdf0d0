/** The tables of a period: as they were at the baseline and as they are at the end. */
import type { TableManifest } from '../../repository/manifest.ts'
import type { Period } from './steps.ts'
import type { WalkedTable } from './table-walk.ts'
import { hasKeyOf } from './told-changes.ts'

/** All that either end has, by name. */
export function tablesOf({ baseline, end }: Pick<Period, 'baseline' | 'end'>): WalkedTable[] {
  const names = [...new Set([...baseline.tables, ...end.tables].map(({ name }) => name))].sort()
  const find = (tables: readonly TableManifest[], name: string) => tables.find((table) => table.name === name) ?? null
  return names.map((name) => ({ before: find(baseline.tables, name), after: find(end.tables, name) }))
}

/** Of that name, or parts of the partitioned table of that name. */
export function logicalTables(period: Pick<Period, 'baseline' | 'end'>, name: string): WalkedTable[] {
  return tablesOf(period).filter((table) => tableName(table) === name && isComparable(table))
}

/** As the configuration names it: a partition by the table that it is a part of. */
export function tableName({ before, after }: WalkedTable): string {
  const table = (after ?? before)!
  return table.partitionOf ?? table.name
}

export function categoryOf({ before, after }: WalkedTable): string {
  return (after ?? before)!.category
}

/** Rows are told apart by the same key on both sides. */
export function isComparable({ before, after }: WalkedTable): boolean {
  return !before || !after || hasKeyOf(before, after)
}
