import type { SourceIdentity } from './contract.ts'

const PRODUCTS: Readonly<Record<SourceIdentity['engine'], string>> = {
  postgresql: 'PostgreSQL',
  sqlserver: 'SQL Server',
}

/** For people: `PostgreSQL 18.3`. */
export function serverName({ engine, serverVersion }: Pick<SourceIdentity, 'engine' | 'serverVersion'>): string {
  return `${PRODUCTS[engine]} ${serverVersion}`
}

type Named = Pick<SourceIdentity, 'engine' | 'systemId' | 'databaseOid'>

/** I6. A timeline may grow by a failover; a clone of the cluster is another database from its first write on. */
export function isSameDatabase(a: Named, b: Named): boolean {
  return a.engine === b.engine && a.systemId === b.systemId && a.databaseOid === b.databaseOid
}
