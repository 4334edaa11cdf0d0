/**
 * Tables that came, went or changed their names between the look at the schema and the read's position. Locks hold only what
 * was known by then: a table that was made since is visible to the read and in no plan, and nobody would miss its rows (P2).
 */
import { Failure } from '../errors.ts'
import type { ConsistentRead, NotCaptured, SchemaInfo } from '../source/contract.ts'

export interface TablesSince {
  /** Visible to the read under names that nobody knew. */
  readonly made: readonly string[]
  /** Not visible under the names by which they were known. */
  readonly gone: readonly string[]
}

export function tablesSince({ tables }: SchemaInfo, { visibleTables }: ConsistentRead): TablesSince {
  const idOf = ({ oid, name }: { readonly oid: string; readonly name: string }) => `${oid} ${name}`
  const [known, visible] = [new Set(tables.map(idOf)), new Set(visibleTables.map(idOf))]
  return {
    made: visibleTables.filter((table) => !known.has(idOf(table))).map(({ name }) => name),
    gone: tables.filter((table) => !visible.has(idOf(table))).map(({ name }) => name),
  }
}

export function changedMeanwhile({ made, gone }: TablesSince): Failure {
  const names = [...new Set([...made, ...gone])].sort().join(', ')
  return new Failure('schema-changed', `while the read was taken, the source made, renamed or dropped table ${names}`, {
    hints: ['Run the command again.'],
  })
}

/** For a source that makes tables all the time: the snapshot says which it does not have. */
export function notYetRead(made: readonly string[]): NotCaptured[] {
  return made.map((name) => ({
    kind: 'table',
    name,
    reason: 'made while the snapshot was taken; the next snapshot reads it',
  }))
}
