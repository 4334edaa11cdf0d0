/** What chartkeep does with PostgreSQL and not with SQL Server yet, refused in the words of the one error table. */
import { Failure } from '../../errors.ts'

export const refuseYet = (what: string) => async (): Promise<never> => {
  throw new Failure('not-available', `${what}: not supported for SQL Server yet`, {
    hints: [
      'Of SQL Server, this version does `discover`, `setup-sql`, `doctor`, `capture`, `backup`, `compare`, and the restore of',
      'a database or of a patient.',
    ],
  })
}
