/** What a snapshot of this database does not hold (I10), found in the catalogs. */
import type { NotCaptured } from '../contract.ts'
import type { Session } from './connect.ts'
import type { CatalogTable } from './introspect.ts'
import { countIn } from './readable.ts'

const KINDS = [
  {
    view: 'sys.database_principals',
    kind: 'users and roles',
    reason: 'users, roles and their permissions are not kept; logins belong to the server',
    where: "type IN ('S', 'U', 'G', 'R') AND is_fixed_role = 0 AND principal_id > 4",
  },
  {
    view: 'sys.assemblies',
    kind: 'assembly',
    reason: 'CLR code is not kept',
    where: 'CONVERT(int, is_user_defined) = 1',
  },
  { view: 'sys.external_tables', kind: 'external table', reason: 'its rows are elsewhere', where: '1 = 1' },
  { view: 'sys.service_queues', kind: 'service queue', reason: 'messages are not kept', where: 'is_ms_shipped = 0' },
] as const

export async function findNotCaptured(session: Session, tables: readonly CatalogTable[]): Promise<NotCaptured[]> {
  const found = tables.flatMap(ownColumns)
  for (const { view, kind, reason, where } of KINDS) {
    const count = await countIn(session, view, where)
    if (count === null) found.push({ kind, name: 'unknown', reason: `${view} could not be asked` })
    else if (count > 0) found.push({ kind, name: 'all', reason, count })
  }
  return found
}

function ownColumns({ info, columns }: CatalogTable): NotCaptured[] {
  const own = new Set(info.generatedColumns)
  return columns
    .filter(({ name }) => own.has(name))
    .map(({ name, isComputed }) => ({
      kind: isComputed ? 'computed column' : 'rowversion',
      name: `${info.name}.${name}`,
      reason: isComputed
        ? 'the database computes it again from the other columns'
        : 'the server gives every row a new one when it is stored',
    }))
}
