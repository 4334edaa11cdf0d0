/** What can go wrong when a patient's rows are written, said alike whatever the database is. */
import { Failure } from '../errors.ts'
import type { SourceIdentity } from './contract.ts'
import type { AppliedTransaction, TransactionOutcome } from './row-contract.ts'

const LOOK_AGAIN = ['Make a new plan, and look at it again.']

type Named = Pick<SourceIdentity, 'systemId' | 'databaseName'>

export function otherDatabase(expected: Named, found: Named): Failure {
  const wanted = `${expected.databaseName} of system ${expected.systemId}`
  return new Failure(
    'plan-refused',
    `the plan is for database ${wanted}, and this is ${found.databaseName} of ${found.systemId}`,
    { hints: ['Make a plan for this database.'] },
  )
}

export function patientBusy(): Failure {
  return new Failure('plan-moved', 'another restore of this patient is being applied', {
    hints: ['Wait until it ends, and make a new plan.'],
  })
}

/** @param said by the database: `SQLSTATE 55P03` */
export function rowsHeld(said: string, context: Readonly<Record<string, string>> = {}): Failure {
  return new Failure('plan-moved', `somebody holds or has changed rows of the plan (${said}); nothing was written`, {
    context,
    hints: LOOK_AGAIN,
  })
}

/** The connection died between our COMMIT and its answer. */
export function notCommitted(outcome: Exclude<TransactionOutcome, 'committed'>, { id }: AppliedTransaction): Failure {
  if (outcome === 'rolled back') {
    return new Failure(
      'source-unreachable',
      'the connection ended while committing, and the server rolled everything back',
      { hints: ['Nothing was written. Apply the plan again.'] },
    )
  }
  return new Failure('outcome-unknown', `what became of transaction ${id} cannot be found out (${outcome})`, {
    context: { transaction: id },
    hints: ['Make a new plan for this patient: it shows what is there now.'],
  })
}
