/**
 * Tables that the change took away. The configuration still names them, and a snapshot refuses names that it does not
 * find: the snapshot behind the change is taken without them, so that their loss is a finding and not a refusal.
 */
import type { PatientLayout } from '../../intake/table-plan.ts'
import type { Manifest } from '../../repository/manifest.ts'
import type { Source } from '../../source/contract.ts'

/** As the configuration names them, a partitioned table by its parent. @throws source-… */
export async function goneTables(source: Source, before: Manifest): Promise<Set<string>> {
  const { tables } = await source.introspect()
  const now = new Set(tables.flatMap(namesOf))
  return new Set(before.tables.flatMap(namesOf).filter((name) => !now.has(name)))
}

export function layoutWithout(layout: PatientLayout, gone: ReadonlySet<string>): PatientLayout {
  const kept = <Value>(named: ReadonlyMap<string, Value>) => new Map([...named].filter(([table]) => !gone.has(table)))
  const { patient, anchors, categories, links, exclude } = layout
  return {
    patient: patient && gone.has(patient.table) ? null : patient,
    anchors: kept(anchors),
    categories: kept(categories),
    links: links.filter(({ table, referencedTable }) => !gone.has(table) && !gone.has(referencedTable)),
    exclude,
  }
}

function namesOf({ name, partitionOf }: { readonly name: string; readonly partitionOf: string | null }): string[] {
  return partitionOf === null ? [name] : [name, partitionOf]
}
