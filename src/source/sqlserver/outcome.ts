/**
 * What became of a transaction that nobody wrote down the end of: SQL Server answers no question about one that is over
 * (its log can be read only by its own administrator). Who still has the plan looks at the rows instead (apply-rows.ts).
 */
import type { TransactionOutcome } from '../row-contract.ts'

export async function settleOutcome(): Promise<TransactionOutcome> {
  return 'unknown'
}
