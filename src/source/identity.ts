import type { SourceIdentity } from './contract.ts'

type Named = Pick<SourceIdentity, 'engine' | 'systemId' | 'databaseOid'>

/** I6. A timeline may grow by a failover; a clone of the cluster is another database from its first write on. */
export function isSameDatabase(a: Named, b: Named): boolean {
  return a.engine === b.engine && a.systemId === b.systemId && a.databaseOid === b.databaseOid
}
