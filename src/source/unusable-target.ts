/** Why a database is not rebuilt into: what is the same to say whichever kind it is (I8, F19). */
import { Failure } from '../errors.ts'
import type { SourceIdentity } from './contract.ts'

/** @param targetKind of the target, as its maker writes it: `PostgreSQL` */
export function otherKind(source: SourceIdentity, targetKind: string): Failure {
  return new Failure('target-failed', `the snapshot is of ${source.engine}, the target is ${targetKind}`, {
    hints: ['A snapshot is rebuilt into the kind of database that it was taken of.'],
  })
}

/** @param whatCounts which copies of a database are taken for the database itself */
export function isSource(source: SourceIdentity, whatCounts: string): Failure {
  return new Failure('target-is-source', `the target is the source itself: database ${source.databaseName}`, {
    hints: ['Rebuild into a new, empty database.', whatCounts],
    context: { systemId: source.systemId, databaseOid: source.databaseOid },
  })
}

/** @param found names of objects that are there; a few are enough */
export function notEmpty(target: SourceIdentity, found: readonly string[], createDatabase: string): Failure {
  const { databaseName } = target
  return new Failure('target-not-empty', `database ${databaseName} is not empty: it has ${found.join(', ')}`, {
    hints: [`Make a new database (${createDatabase}) and rebuild into that.`],
  })
}
