/**
 * What each table of a source is to chartkeep: its tree, its category, and the way from its rows to their patient.
 *
 * The configuration names tables as people know them: a partitioned table by its topmost parent. What it does not
 * name is captured all the same, without a patient and under the category `其他`.
 */
import type { SourceConfiguration } from '../config.ts'
import { Failure } from '../errors.ts'
import type { TreeSpec } from '../repository/tree/spec.ts'
import type { SchemaInfo, TableInfo } from '../source/contract.ts'

/** The part of a source's configuration that says where patients are. */
export type PatientLayout = Pick<SourceConfiguration, 'patient' | 'anchors' | 'categories' | 'links' | 'exclude'>

export interface TablePlan {
  readonly table: TableInfo
  readonly spec: TreeSpec
  readonly category: string
  readonly anchor: string | null
  /** `table.column` from the anchor to the patient's key; empty without anchor. */
  readonly anchorPath: readonly string[]
}

export const CATEGORY_OTHER = '其他'

/**
 * Plans for the tables of `schema` that the configuration does not exclude, by name.
 * @throws bad-configuration naming every table or column that the source does not have
 */
export function planTables(schema: SchemaInfo, layout: PatientLayout): TablePlan[] {
  const known = new Map<string, TableInfo>()
  for (const table of schema.tables) known.set(table.name, table).set(configuredName(table), table)
  refuseUnknown(layout, known)
  const links = new Links(schema, layout)

  return includedTables(schema, layout).map((table) => {
    const anchor = anchorOf(table, layout)
    return {
      table,
      spec: treeSpec(table, anchor),
      category: layout.categories.get(configuredName(table)) ?? layout.categories.get(table.name) ?? CATEGORY_OTHER,
      anchor,
      anchorPath: anchor === null ? [] : links.pathToPatient(configuredName(table), anchor),
    }
  })
}

export function includedTables(schema: SchemaInfo, layout: Pick<PatientLayout, 'exclude'>): TableInfo[] {
  const { exclude } = layout
  return schema.tables.filter((table) => !exclude.has(table.name) && !exclude.has(configuredName(table)))
}

function configuredName(table: TableInfo): string {
  return table.partitionOf ?? table.name
}

function anchorOf(table: TableInfo, layout: PatientLayout): string | null {
  const name = configuredName(table)
  if (name === layout.patient?.table) return layout.patient.key
  return layout.anchors.get(name) ?? layout.anchors.get(table.name) ?? null
}

function treeSpec(table: TableInfo, anchor: string | null): TreeSpec {
  const position = (column: string): number => {
    const found = table.columns.findIndex((candidate) => candidate.name === column)
    if (found >= 0) return found
    throw new Failure('bad-configuration', `table ${table.name} has no captured column ${column}`, {
      hints: ['Correct `anchors` in the configuration: `chartkeep discover` drafts it anew.'],
    })
  }
  // A generated column is not captured, so a key that needs one cannot tell rows apart.
  const captured = new Set(table.columns.map((column) => column.name))
  const key = table.primaryKey.every((column) => captured.has(column)) ? table.primaryKey : []
  return {
    name: table.name,
    fieldCount: table.columns.length,
    anchor: anchor === null ? null : position(anchor),
    key: key.map(position),
  }
}

function refuseUnknown(layout: PatientLayout, known: ReadonlyMap<string, TableInfo>): void {
  const named: (readonly [where: string, table: string])[] = [
    ...[...layout.anchors.keys()].map((table) => ['anchors', table] as const),
    ...[...layout.categories.keys()].map((table) => ['categories', table] as const),
    ...layout.links.flatMap((link) => [link.table, link.referencedTable].map((table) => ['links', table] as const)),
  ]
  if (layout.patient) named.push(['patient', layout.patient.table])
  const unknown = named.filter(([, table]) => !known.has(table))
  if (unknown.length > 0) {
    const list = unknown.map(([where, table]) => `${table} (${where})`).join(', ')
    throw new Failure('bad-configuration', `the configuration names tables that the source does not have: ${list}`, {
      hints: ['Table names are schema.table. `chartkeep discover` drafts the configuration anew.'],
    })
  }
}

/** Foreign keys of one column, and the reviewed links beside them. */
class Links {
  readonly #layout: PatientLayout
  readonly #targets = new Map<string, string>()

  constructor(schema: SchemaInfo, layout: PatientLayout) {
    this.#layout = layout
    for (const table of schema.tables) {
      for (const key of table.foreignKeys) {
        for (const [position, column] of key.columns.entries()) {
          const from = `${configuredName(table)}.${column}`
          // A key of this column alone says more than one that it shares.
          if (key.columns.length > 1 && this.#targets.has(from)) continue
          this.#targets.set(from, `${key.references}.${key.referencedColumns[position]}`)
        }
      }
    }
    for (const link of layout.links) {
      this.#targets.set(`${link.table}.${link.column}`, `${link.referencedTable}.${link.referencedColumn}`)
    }
  }

  pathToPatient(table: string, anchor: string): string[] {
    const { patient, anchors } = this.#layout
    const path = [`${table}.${anchor}`]
    if (!patient) return path
    const goal = `${patient.table}.${patient.key}`
    const seen = new Set<string>()
    for (let at = path[0]!; at !== goal; ) {
      // What refers to itself in a circle leads nowhere.
      if (seen.has(at)) return path
      seen.add(at)
      const next = this.#targets.get(at) ?? (columnOf(at) === patient.key ? goal : null)
      if (next === null) return path
      path.push(next)
      if (next === goal) return path
      // At a key of another table: go on from that table's own anchor, which may be that very column.
      const anchorThere = anchors.get(tableOf(next))
      if (anchorThere === undefined) return path
      at = `${tableOf(next)}.${anchorThere}`
      path.push(at)
    }
    return path
  }
}

function tableOf(column: string): string {
  return column.slice(0, column.lastIndexOf('.'))
}

function columnOf(column: string): string {
  return column.slice(column.lastIndexOf('.') + 1)
}
