/** Whether a backup without capture can go by net changes: Change Tracking of the database, of each table, and our own. */
import type { Observation } from '../../health-contract.ts'
import type { Session } from '../connect.ts'
import type { CatalogTable } from '../introspect.ts'
import { quoteText } from '../quote.ts'
import { hasCatalogView } from '../readable.ts'
import { readTracked } from './ask-server.ts'

/** What would mend each of them. */
const REMEDY = ['-- the part on Change Tracking of what `chartkeep setup-sql` prints']

/** Of a server that has no Change Tracking: nothing. @param tables those that are backed up */
export async function lookAtTracking(session: Session, tables: readonly CatalogTable[]): Promise<Observation[]> {
  if (!(await hasCatalogView(session, 'sys.change_tracking_tables'))) return []
  const seen = (objects: readonly string[], found: string): Observation[] => {
    return [{ topic: 'table-untracked', objects, found, remedySql: REMEDY }]
  }
  const [on] = await session.query('SELECT 1 AS one FROM sys.change_tracking_databases WHERE database_id = DB_ID()')
  if (!on) return seen([], 'CHANGE_TRACKING = OFF')
  const tracked = await readTracked(session)
  if (tracked === null)
    return seen(['chartkeep.seen'], 'INSERT, DELETE, VIEW CHANGE TRACKING: denied, or it is not tracked')
  const keyed = tables.filter(({ info }) => info.primaryKey.length > 0)
  const untracked = keyed.filter(({ info }) => !tracked.has(info.oid))
  const hidden: string[] = []
  for (const { info } of keyed.filter((table) => !untracked.includes(table))) {
    if (!(await mayView(session, info.sqlName))) hidden.push(info.name)
  }
  return [
    ...(untracked.length === 0
      ? []
      : seen(
          untracked.map(({ info }) => info.name),
          'CHANGE_TRACKING: not enabled',
        )),
    ...(hidden.length === 0 ? [] : seen(hidden, 'VIEW CHANGE TRACKING: permission denied')),
  ]
}

async function mayView(session: Session, sqlName: string): Promise<boolean> {
  const [row] = await session.query(
    `SELECT HAS_PERMS_BY_NAME(${quoteText(sqlName)}, 'OBJECT', 'VIEW CHANGE TRACKING') AS may_view`,
  )
  return row?.may_view !== '0'
}
