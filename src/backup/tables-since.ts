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

/**
 * For a source that makes tables all the time: the snapshot says which it does not have.
 * @param known tables that are in it, or left out on purpose: one that was made anew under such a name is no other
 */
export function notYetRead(made: readonly string[], known: ReadonlySet<string>): NotCaptured[] {
  const reason = 'made while the snapshot was taken; the next snapshot reads it'
  return made.filter((name) => !known.has(name)).map((name) => ({ kind: 'table', name, reason }))
}
