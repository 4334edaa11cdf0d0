/**
 * The statements that rebuild a schema, from catalog views. What they do not carry is listed (I10).
 *
 * Each statement is a batch of its own, as CREATE VIEW and its like must be. Functions that columns and constraints may
 * call come before the tables: a scalar function finds its tables only when it runs (deferred name resolution), unless it
 * is bound to them. Triggers come last of all, when every row is there.
 */
import type { SchemaDdl } from '../contract.ts'
import type { Session } from './connect.ts'
import { constraintSteps } from './ddl/constraints.ts'
import { moduleSteps } from './ddl/modules.ts'
import { findNotCarried } from './ddl/not-carried.ts'
import { containerSteps, tableSteps } from './ddl/tables.ts'
import { readTables } from './introspect.ts'

export async function readSchemaDdl(session: Session): Promise<SchemaDdl> {
  const tables = await readTables(session)
  const { early, late, unreadable } = await moduleSteps(session)
  const { keys, links, checks } = await constraintSteps(session)
  const steps = [
    ...(await containerSteps(session)),
    ...early,
    ...(await tableSteps(session, tables)),
    ...keys,
    ...links,
    ...checks,
    ...late,
  ]
  return { origin: 'chartkeep', steps, notCarried: [...unreadable, ...(await findNotCarried(session))] }
}
