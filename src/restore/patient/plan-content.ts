/** A planned restore in the form of a document: of every line the columns that are still there, rows that are the same as numbers. */

import type { PatientPlan, PlannedRow, PlannedTable } from './plan.ts'
import type { ContentRow, ContentTable, PlanContent } from './plan-document.ts'
import { fieldNumber } from './references.ts'
import { fieldOf, type StoredRow } from './stored-row.ts'

export function planContent(plan: PatientPlan): PlanContent {
  const { sourceName, snapshotId, position } = plan.manifest
  const groups = Map.groupBy(plan.needed, (fact) => fact.needed.table.name)
  return {
    kind: plan.kind,
    sourceName,
    patients: plan.patients,
    moment: { snapshotId, lsn: position.lsn, sourceTime: position.sourceTime },
    tables: plan.tables.map(contentTable),
    needed: [...groups].map(([table, facts]) => ({
      table,
      rows: facts.length,
      gone: facts.filter(({ there }) => !there).length,
    })),
    leftOut: plan.leftOut,
  }
}

function contentTable(planned: PlannedTable): ContentTable {
  const { table, columnsShared, columnsLost, columnsNew, olderBecause, rows } = planned
  const differing = rows.filter(({ status }) => status !== 'same')
  return {
    name: table.name,
    category: table.category,
    columns: columnsShared,
    columnsLost,
    columnsNew,
    ...(olderBecause !== null && { olderBecause }),
    same: rows.length - differing.length,
    rows: differing.map((row) => contentRow(row, columnsShared)),
  }
}

function contentRow(row: PlannedRow, columns: readonly string[]): ContentRow {
  const { status, action, past, present, cause, goesTo } = row
  const { key } = (past ?? present)!
  const lineOf = (side: StoredRow | null) => (side ? sharedLine(side, columns) : null)
  const whose = goesTo && { goesTo }
  return { status, action, key, past: lineOf(past), present: lineOf(present), changed: row.columns, cause, ...whose }
}

function sharedLine(row: StoredRow, columns: readonly string[]): Buffer {
  if (columns.length === row.table.columns.length) return row.line
  const fields = columns.map((column) => fieldOf(row, fieldNumber(row.table, column)).toString('latin1'))
  return Buffer.from(fields.join('\t'), 'latin1')
}
