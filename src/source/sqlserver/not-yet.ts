/** What chartkeep does with PostgreSQL and not with SQL Server yet, refused in the words of the one error table. */
import { Failure } from '../../errors.ts'

export function notYet(what: string): Failure {
  return new Failure('not-available', `${what}: not supported for SQL Server yet`, {
    hints: ['Of SQL Server, this version does `discover`, `backup` (every row is read) and `restore database`.'],
  })
}

export const refuseYet = (what: string) => async (): Promise<never> => {
  throw notYet(what)
}
