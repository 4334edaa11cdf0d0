import { Failure } from '../../errors.ts'

/** Two rows of one key mean that the read was not consistent, or that the key is none (P4). */
export function duplicateKey(table: string): Failure {
  return new Failure('duplicate-key', `two rows of ${table} have the same primary key`, {
    context: { table },
    hints: ['The primary key\'s index may be damaged: have the DBA run "REINDEX TABLE", then take the backup again.'],
  })
}
