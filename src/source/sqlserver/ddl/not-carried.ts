/** Kinds of object that the statements do not carry, as far as the database has any. */
import type { NotCaptured } from '../../contract.ts'
import type { Session } from '../connect.ts'
import { countIn } from '../readable.ts'

const KINDS: readonly {
  readonly view: string
  readonly kind: string
  readonly where: string
  readonly reason: string
}[] = [
  {
    view: 'sys.indexes',
    kind: 'index',
    where: `type > 2 AND OBJECTPROPERTY(object_id, 'IsMSShipped') = 0`,
    reason: 'columnstore, XML, spatial, hash and full-text indexes are not made again',
  },
  {
    view: 'sys.indexes',
    kind: 'index of a view',
    where: `type IN (1, 2) AND OBJECTPROPERTY(object_id, 'IsView') = 1 AND OBJECTPROPERTY(object_id, 'IsMSShipped') = 0`,
    reason: 'indexes of views are not made again',
  },
  { view: 'sys.synonyms', kind: 'synonym', where: 'is_ms_shipped = 0', reason: 'synonyms are not made again' },
  {
    view: 'sys.table_types',
    kind: 'table type',
    where: 'is_user_defined = 1',
    reason: 'table types are not made again',
  },
  {
    view: 'sys.partition_schemes',
    kind: 'partition scheme',
    where: '1 = 1',
    reason: 'partitioned tables are rebuilt as one; filegroups are not made again',
  },
  {
    view: 'sys.xml_schema_collections',
    kind: 'XML schema collection',
    where: 'xml_collection_id > 65535',
    reason: 'columns typed by one are rebuilt as plain xml',
  },
  {
    view: 'sys.periods',
    kind: 'temporal table',
    where: '1 = 1',
    reason: 'table and history are rebuilt with their rows as ordinary tables; versioning is to be switched on again',
  },
  { view: 'sys.fulltext_catalogs', kind: 'full-text catalog', where: '1 = 1', reason: 'full-text search is not kept' },
  { view: 'sys.security_policies', kind: 'security policy', where: '1 = 1', reason: 'policies are not made again' },
  { view: 'sys.plan_guides', kind: 'plan guide', where: '1 = 1', reason: 'plan guides are not made again' },
  {
    view: 'sys.extended_properties',
    kind: 'extended property',
    where: "class <> 0 AND name <> 'MS_Description'",
    reason: 'of extended properties, descriptions of tables and columns are made again',
  },
  {
    view: 'sys.triggers',
    kind: 'database trigger',
    where: 'parent_class = 0 AND is_ms_shipped = 0',
    reason: 'DDL triggers are not made again',
  },
]

export async function findNotCarried(session: Session): Promise<NotCaptured[]> {
  const found: NotCaptured[] = []
  for (const { view, kind, where, reason } of KINDS) {
    const count = await countIn(session, view, where)
    if (count === null) found.push({ kind, name: 'unknown', reason: `${view} could not be asked` })
    else if (count > 0) found.push({ kind, name: 'all', reason, count })
  }
  return found
}
