/** Views, and materialized views without their rows: `Target.finish` computes those. */
import type { Session } from '../connect.ts'
import { nameList } from '../introspect.ts'
import { type Definition, id, RANK, text, userObjects } from './statement.ts'
import { optionList, tableName } from './tables.ts'

export async function readViews(session: Session): Promise<Definition[]> {
  const rows = await session.query(
    `SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind AS kind, array_to_json(c.reloptions) AS options,
       (SELECT am.amname FROM pg_catalog.pg_am am WHERE am.oid = c.relam AND am.amname <> 'heap') AS access_method,
       rtrim(pg_get_viewdef(c.oid), ';') AS definition
     FROM ${userObjects('pg_class', 'c', 'relnamespace')}
     WHERE c.relkind IN ('v', 'm') AND c.relpersistence <> 't'`,
  )
  return rows.map((row) => {
    const isMaterialized = row.kind === 'm'
    const kind = isMaterialized ? 'MATERIALIZED VIEW' : 'VIEW'
    const using = row.access_method === null ? '' : ` USING "${text(row, 'access_method')}"`
    const options = row.options === null ? '' : ` WITH (${optionList(nameList(row.options))})`
    const noRows = isMaterialized ? '\nWITH NO DATA' : ''
    return {
      id: id('pg_class', row.oid),
      rank: RANK.view,
      object: `${kind} ${row.schema}.${row.name}`,
      sql: `CREATE ${kind} ${tableName(row)}${using}${options} AS\n${row.definition}${noRows}`,
    }
  })
}
